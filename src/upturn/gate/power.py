"""What a holdout can find, and how many rows it takes to know.

Power is that of the test which is run, not of a normal mean. Let N be the rows, v N the variance of
the total difference (robust to groups), d the true gain. The test flips signs of whole groups: it
rejects where the total is beyond z times the deviation of the flipped totals. These do not know the
gain, so that their variance is the sum of squares of the group sums, N (v + d² k) with k the sum of
squared group sizes by row, and a flipped total that ties counts against the challenger, which costs
half the distance of two totals that can be seen: 1 / q where sums are multiples of 1 / q. So

    power = Phi((d N - 1/q - z sqrt(N (v + d² k))) / sqrt(N v))

which is the normal approximation (Lachin 1981, Controlled Clinical Trials 2) but for the two terms
that make an exact test of few or uneven groups and of whole numbers weaker. For a design in stages
the same follows by recursive integration. ``benchmarks.error_rates`` compares it with simulation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from upturn.gate.designs.base import Prospect
from upturn.gate.power_analysis import PowerAnalysis
from upturn.gate.rules import GateRules
from upturn.gate.spending import first_level
from upturn.gate.statistics import Clusters, lattice

#: No holdout has more rows than this.
_MOST_ROWS = 10**9


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How differences vary, which is what power depends on besides their mean.

    Attributes:
        variance: ``rows`` times the variance of the mean difference, robust to groups.
        clumping: sum of squared group sizes, by row; 1 where rows are single.
        step: distance of two group sums that can be seen; 0 where they are continuous.
        rows_per_group: mean size of a group; largest: rows of the largest one.
    """

    variance: float
    clumping: float
    step: float
    rows_per_group: float
    largest: float

    @classmethod
    def of(cls, clusters: Clusters) -> Spread:
        """Measures it on the rows that were compared."""
        rows = float(clusters.sizes.sum())
        scale = lattice(clusters.sums)
        return cls(
            variance=clusters.variance * rows,
            clumping=float((clusters.sizes**2).sum()) / rows,
            step=1 / scale if scale else 0.0,
            rows_per_group=rows / len(clusters.sums),
            largest=float(clusters.sizes.max()),
        )


def power(spread: Spread, gain: float, *, rows: float, alpha: float, rules: GateRules) -> float:
    """Returns the chance that a true gain is found beyond chance.

    Args:
        spread: of the differences.
        gain: true mean difference, > 0.
        rows: of the holdout.
        alpha: one-sided error level of the look.
        rules: its design and its ``min_gain`` count.
    """
    assert gain > 0, f"a gain must be positive, got {gain}"
    groups = rows / spread.rows_per_group
    if groups < least_groups(alpha):
        return 0.0
    if spread.variance <= 0:
        return 1.0
    deviation = math.sqrt(rows * spread.variance)
    prospect = Prospect(
        drift=gain * rows / deviation,
        least=rules.min_gain * rows / deviation,
        spread=math.sqrt(1 + gain**2 * spread.clumping / spread.variance),
        step=spread.step / deviation,
        scale=deviation / spread.largest,
        groups=math.floor(groups),
    )
    return rules.design.power(prospect, alpha)


def least_groups(alpha: float) -> int:
    """Returns the groups below which no data could reject: all differ, all for the better."""
    return math.ceil(-math.log2(alpha) - 1e-12)


def rows_to_find(spread: Spread, gain: float, *, rules: GateRules) -> int | None:
    """Returns the rows of a fresh holdout that finds a true gain with ``rules.power``.

    To half a percent, which is more than is known of the spread. More rows are a new holdout, so
    the error level is that of a first look. None where a billion rows would not do.
    """
    alpha = first_level(rules.alpha)

    def enough(rows: int) -> bool:
        return power(spread, gain, rows=rows, alpha=alpha, rules=rules) >= rules.power

    high = math.ceil(least_groups(alpha) * spread.rows_per_group)
    low = high - 1
    while not enough(high):
        low, high = high, 2 * high
        if high > _MOST_ROWS:
            return None
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def analyse_power(
    clusters: Clusters,
    *,
    rows: float,
    share: float,
    alpha: float,
    rules: GateRules,
    rows_per_day: float | None,
) -> PowerAnalysis | None:
    """Returns what this holdout could find, and the size of one that would decide.

    The gain assumed is the one seen, or ``min_gain`` where that is larger; None where neither is a
    gain.

    Args:
        clusters: the compared rows.
        rows: rows that the whole holdout compares, with those that no stage ran.
        share: of a holdout's rows that are compared; the others lack the champion's score.
        alpha: error level of this look; with 0 it finds nothing.
        rules: the gate's.
        rows_per_day: fresh holdout rows that a day brings, where known.
    """
    gain = max(clusters.effect, rules.min_gain)
    if gain <= 0:
        return None
    spread = Spread.of(clusters)
    enough = rows_to_find(spread, gain, rules=rules)
    needed = None if enough is None else math.ceil(enough / share)

    def found(true: float) -> float | None:
        if true <= 0:
            return None
        return power(spread, true, rows=rows, alpha=alpha, rules=rules) if alpha > 0 else 0.0

    return PowerAnalysis(
        gain=gain,
        target=rules.power,
        rows=needed,
        groups=None if needed is None else math.ceil(needed / spread.rows_per_group),
        for_min_gain=found(rules.min_gain),
        for_effect=found(clusters.effect),
        days=needed / rows_per_day if needed is not None and rows_per_day else None,
    )
