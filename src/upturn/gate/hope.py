"""Whether the rest of the rows may still decide: the conditional power of going on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from upturn.gate.statistics import Floats


def conditional_power(
    sums_G: Floats, sizes_G: Floats, *, share: float, min_gain: float, z: float
) -> NDArray[np.float64]:
    """Returns the chance that all rows together will reach ``z``, given those that were run.

    What is still to come is taken to gain what was seen so far, or ``min_gain`` if that is more.
    With T the total so far, R the rows to come and s the deviation of the total of all rows, the
    final z is normal with mean (T + gain R) / s and variance 1 - share (stochastic curtailment,
    Lan, Simon and Halperin 1982; Jennison and Turnbull 2000, chapter 10).

    The variance of a group's sum is taken as twice the mean square of the negative sums, which is
    the same where nothing is better. So lowering any sum lowers the chance: the total falls, the
    deviation does not, and a failed row can never keep a hopeless sequence going.

    Args:
        sums_G: sums of the groups that were run; further axes are worlds of their own.
        sizes_G: rows of these groups, of the same shape or with axis G alone.
        share: share of all rows that was run, in (0, 1).
        min_gain: the smallest gain worth a release.
        z: what the test of all rows must reach.
    """
    rows = sizes_G.sum(axis=0)
    total = sums_G.sum(axis=0)
    if not np.any(rows):
        return np.ones_like(total)
    gain = np.maximum(total / rows, min_gain)
    final = total + gain * rows * (1 - share) / share
    variance = 2 * (np.minimum(sums_G, 0.0) ** 2).sum(axis=0) / share
    reach = np.divide(final, np.sqrt(variance), out=np.full_like(total, np.inf), where=variance > 0)
    chance = ndtr((reach - z) / np.sqrt(1 - share))
    return np.where(final > 0, chance, 0.0)
