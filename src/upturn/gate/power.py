"""How many rows it takes to know."""

from __future__ import annotations

import math
from statistics import NormalDist

from upturn.gate.rules import GateRules
from upturn.gate.spending import first_level
from upturn.gate.statistics import Clusters


def rows_to_detect(gain: float, *, alpha: float, power: float, variance: float) -> int:
    """Returns the rows for which a one-sided test at ``alpha`` sees a true ``gain``.

    ``n = variance * ((z_alpha + z_power) / gain)**2``, the normal approximation for a mean of
    paired differences (e.g. Lachin 1981, Controlled Clinical Trials 2).

    Args:
        gain: true mean difference, > 0.
        alpha: one-sided error level, > 0.
        power: chance of seeing it.
        variance: variance of one row's difference; where rows come in groups, ``n`` times the
            cluster-robust variance of the mean.
    """
    assert gain > 0, f"a gain must be positive, got {gain}"
    normal = NormalDist()
    reach = normal.inv_cdf(1 - alpha) + normal.inv_cdf(power)
    return math.ceil(variance * (reach / gain) ** 2)


def least_groups(alpha: float) -> int:
    """Returns the groups below which no data could reject: all differ, all for the better."""
    return math.ceil(-math.log2(alpha) - 1e-12)


def rows_needed(clusters: Clusters, rules: GateRules) -> int | None:
    """Returns the size of a fresh holdout that would decide, or None where no size would.

    More rows are a new holdout, so the error level is that of a first look. The gain assumed is
    the one seen, or ``min_gain`` where that is larger.
    """
    gain = max(clusters.effect, rules.min_gain)
    if gain <= 0:
        return None
    alpha = first_level(rules.alpha)
    rows, groups = float(clusters.sizes.sum()), len(clusters.sizes)
    by_variance = rows_to_detect(
        gain, alpha=alpha, power=rules.power, variance=clusters.variance * rows
    )
    return max(by_variance, math.ceil(least_groups(alpha) * rows / groups))
