"""When the evidence says that a candidate is worse: a test that may be looked at after every row.

The evidence against "the candidate is at least as good as its rival" is the wealth of a gambler who
bets on each paired difference d (candidate minus rival, in [-1, 1]):

    wealth after n units = mean over bets b of  prod_i (1 - b * d_i)

While the claim holds, no bet gains on average, so by Ville's inequality the wealth ever exceeds 1/a
with probability at most a, however often one looks (Waudby-Smith and Ramdas 2024, "Estimating means
of bounded random variables by betting", JRSS B 86(1); the mixture over bets is their section 5.7).

A candidate meets whoever leads, and the leader is chosen after the fact. For that, each pair of
candidates may err with a / (number of rivals), so that the best candidate is ever called worse than
anybody with probability at most a.

A unit is a group of rows (a customer): rows of one group are not independent, so their differences
are averaged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Fractions of its wealth that the gambler bets: small ones find small differences in many rows.
BETS = (0.03, 0.08, 0.16, 0.3, 0.5, 0.75)

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LeavingRule:
    """Calls a candidate worse than a rival.

    Attributes:
        level: chance that the best candidate is ever called worse than anybody.
        rivals: most other candidates that it can meet.
    """

    level: float = 0.1
    rivals: int = 1

    @property
    def threshold(self) -> float:
        """The log of the wealth at which a candidate leaves."""
        return math.log(max(1, self.rivals) / self.level)

    def is_worse(self, differences_U: Floats) -> bool:
        """Whether the differences, in the order in which they came, say so."""
        return log_wealth(differences_U) >= self.threshold


def log_wealth(differences_U: Floats) -> float:
    """Returns the log of the highest wealth ever reached over the units, at least 0.

    Args:
        differences_U: candidate minus rival for each unit, in [-1, 1].
    """
    if not len(differences_U):
        return 0.0
    gains_BU = np.log1p(-np.outer(BETS, differences_U)).cumsum(axis=1)
    highest_U = gains_BU.max(axis=0)
    wealth_U = highest_U + np.log(np.exp(gains_BU - highest_U).mean(axis=0))
    return max(0.0, float(wealth_U.max()))


def unit_differences(candidate_R: Floats, rival_R: Floats, units_R: NDArray[np.int64]) -> Floats:
    """Averages the differences of rows where both are known within each unit.

    Args:
        candidate_R, rival_R: scores of the rows run so far, NaN where unknown.
        units_R: the rows' units, numbered in the order of their first row. Units whose rows are
            not all among the rows given must be left out by the caller.

    Returns:
        [units with a known pair], in order.
    """
    gaps_R = candidate_R - rival_R
    known_R = ~np.isnan(gaps_R)
    if not known_R.any():
        return np.empty(0)
    units = units_R[known_R]
    count_U = np.bincount(units)
    total_U = np.bincount(units, weights=gaps_R[known_R])
    return total_U[count_U > 0] / count_U[count_U > 0]


def whole_units(units_R: NDArray[np.int64], n: int) -> int:
    """Returns how many of the first ``n`` rows belong to units that lie wholly within them."""
    if n >= len(units_R) or n == 0 or units_R[n] != units_R[n - 1]:
        return n
    return int(np.searchsorted(units_R, units_R[n - 1]))
