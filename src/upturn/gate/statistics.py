"""Sign flips of whole groups, and their inversion: what every design of the gate stands on.

Rows of one group (a customer) are not independent, so the group is the unit. Let S_g be the sum of
the differences in group g and n_g its rows. If the challenger is no better, S_g is as likely as
-S_g, and the one-sided p-value is the share of sign vectors whose total is at least the one seen
(Fisher's randomization test). Flipping the groups outside a set A gives a total at least as large
exactly when ``sum_A S_g <= 0``: the p-value is the chance that a random set of groups has a sum of
0 or less. Two things follow, and are why this form is used:

- Lowering any S_g can only raise the p-value. A failed challenger row never helps.
- Testing a shift d replaces S_g by S_g - d n_g, and ``sum_A (S_g - d n_g) <= 0`` means that the
  mean over A is at most d. So the confidence limits are quantiles of means over random sets of
  groups (Hartigan 1969, "Using subsample values as typical values", JASA 64), and the lower limit
  is above 0 where the test rejects (exactly, but for the noise of drawing the subsets).

With one row a group and binary scores the test is McNemar's exact test, one-sided. The interval is
exact for differences that are symmetric about the effect; otherwise it holds as the number of
groups grows. With only a handful of differing rows its upper end is too short.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Up to this many groups all subsets are visited: 2**14 is fewer than the default draws.
ENUMERATED_GROUPS = 14
#: Group sums that are multiples of 1/q, for some q up to this, get an exact test.
FINEST_LATTICE = 100
#: Steps that the exact test may take before random draws are used instead (about 0.2 s).
EXACT_STEPS = 100_000_000
#: Sums as near to 0 as this are 0: what is left of adding decimals in some order.
TINY = 1e-9
#: Random subsets times groups that one test may look up, and the fewest subsets it draws.
_LOOK_UPS, _FEWEST_DRAWS = 1_000_000_000, 2000
_SUBSETS_OF_8 = ((np.arange(256)[:, None] >> np.arange(8)) & 1).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Differences summed by group.

    Attributes:
        sums: sum of differences per group. sizes: rows per group. Both have axis G. Where rows
            have weights, both are sums of weights, which are scaled to a mean of 1.
    """

    sums: Floats
    sizes: Floats

    @property
    def present(self) -> Clusters:
        """The groups that have any rows."""
        there = self.sizes > 0
        return Clusters(sums=self.sums[there], sizes=self.sizes[there])

    @property
    def effect(self) -> float:
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def variance(self) -> float:
        """Variance of the effect, robust to correlation within groups (Liang and Zeger 1986,
        Biometrika 73), with the usual G / (G - 1); 0.0 for a single group."""
        residuals_G = self.sums - self.effect * self.sizes
        groups, rows = len(self.sums), float(self.sizes.sum())
        return float((residuals_G**2).sum()) * groups / max(groups - 1, 1) / rows**2


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the statistics say: the one-sided p-value, how it was computed, and the interval."""

    p_value: float
    test: str
    low: float
    high: float


def cluster(differences: Sequence[float], groups: Sequence[str]) -> Clusters:
    """Sums differences by group, in the order of the groups' names; at least one is needed."""
    return cluster_in(sorted(set(groups)), differences, groups)


def cluster_in(
    order: Sequence[str],
    differences: Sequence[float],
    groups: Sequence[str],
    weights: Sequence[float] | None = None,
) -> Clusters:
    """Sums differences by group in a given order; a group without rows has sum and size 0."""
    assert differences or not groups, "no differences to cluster"
    place = {name: index for index, name in enumerate(order)}
    index_E = np.array([place[name] for name in groups], dtype=np.int64)
    weights_E = np.ones(len(groups)) if weights is None else np.asarray(weights, float)
    values_E = np.asarray(differences, float) * weights_E
    sums_G = np.bincount(index_E, weights=values_E, minlength=len(order))
    sizes_G = np.bincount(index_E, weights=weights_E, minlength=len(order))
    return Clusters(sums=sums_G.astype(np.float64), sizes=sizes_G.astype(np.float64))


def lattice(sums_G: Floats) -> int:
    """Returns the smallest q up to ``FINEST_LATTICE`` for which all sums are multiples of 1/q, or
    0 where there is none."""
    for q in range(1, FINEST_LATTICE + 1):
        if np.abs(sums_G * q - np.round(sums_G * q)).max() < TINY:
            return q
    return 0


def is_exact(sums_G: Floats, scale: int) -> bool:
    """Tells whether ``exact_p`` is worth its steps: the sums lie on a lattice of 1/scale."""
    return scale > 0 and len(sums_G) * np.abs(sums_G * scale).sum() <= EXACT_STEPS


def exact_p(stages: Sequence[NDArray[np.int64]], spent: Sequence[float]) -> list[float]:
    """P-values of a test in stages, by adding one group at a time to the exact distribution.

    After a stage the lowest sums of a random set of groups, as many as the stage may reject, leave
    the distribution (see ``group_sequential``). With one stage this is P(sum <= 0).

    Args:
        stages: the group sums of each stage, as whole steps of their lattice.
        spent: the error level that may be spent by the end of each stage.

    Returns:
        For each stage: the error spent before it, plus the chance that a set of groups which no
        earlier stage rejected has a sum of 0 or less.
    """
    every_G = np.concatenate(stages)
    zero = int(-every_G[every_G < 0].sum())
    chance = np.zeros(int(np.abs(every_G).sum()) + 1)
    chance[zero] = 1.0
    found: list[float] = []
    before = 0.0
    for steps_G, level in zip(stages, spent, strict=True):
        chance = _flipped(chance, steps_G)
        found.append(float(min(before + chance[: zero + 1].sum(), 1.0)))
        # A set on the border leaves in part, so that what is left is level for level the same
        # share whatever the steps are: the proof of order in ``group_sequential`` needs it.
        left = np.maximum(np.cumsum(chance) - (level - before), 0.0)
        chance, before = np.diff(left, prepend=0.0), level
    return found


def _flipped(chance: Floats, steps_G: NDArray[np.int64]) -> Floats:
    """The distribution of a sum after each of some steps was added with chance 1/2."""
    for step in steps_G[steps_G != 0]:
        moved = np.zeros_like(chance)
        if step > 0:
            moved[step:] = chance[:-step]
        else:
            moved[:step] = chance[-step:]
        chance = (chance + moved) / 2
    return chance


def subsets(
    sums_G: Floats, sizes_G: Floats, *, draws: int, seed: int | Sequence[int], every: bool = True
) -> tuple[Floats, Floats]:
    """Returns sums and sizes of subsets of groups: the empty one first, then ``draws`` random ones.

    Groups are taken eight at a time: a byte picks one of their 256 subsets, whose totals are looked
    up. Memory is that of the draws, whatever the number of groups.

    Args:
        sums_G, sizes_G: of the groups.
        draws: random subsets.
        seed: seed of the draws.
        every: visit all subsets instead where there are at most ``ENUMERATED_GROUPS`` groups.
    """
    totals_B = [np.zeros(1), np.zeros(1)]
    for start, picks_B in _picks(len(sums_G), draws=draws, seed=seed, every=every):
        for column, values_G in enumerate((sums_G, sizes_G)):
            totals_B[column] = totals_B[column] + _eight(values_G, start)[picks_B]
    return totals_B[0], totals_B[1]


def affordable(draws: int, groups: int) -> int:
    """Returns the subsets that a test draws: all that were asked for up to 50,000 groups, fewer of
    more, where 2,000 take as long. It depends on no answer."""
    return min(draws, max(_FEWEST_DRAWS, _LOOK_UPS // max(groups, 1)))


def subset_sums(sums_G: Floats, *, draws: int, seed: int) -> Floats:
    """Returns what ``subsets`` would, without the sizes."""
    totals_B = np.zeros(1)
    for start, picks_B in _picks(len(sums_G), draws=draws, seed=seed, every=True):
        if sums_G[start : start + 8].any():
            totals_B = totals_B + _eight(sums_G, start)[picks_B]
    return totals_B


def by_size(clusters: Clusters) -> Clusters:
    """The groups by size, and by sum where sizes are the same.

    Which random sets are drawn then depends neither on names nor on the order of rows. If a sum
    falls, every sum less any shift times the size falls or stays at its place, as it would in any
    fixed order.
    """
    # Weights add up to the same but for the order in which they were added.
    order = np.lexsort((clusters.sums, np.round(clusters.sizes, 9)))
    return Clusters(sums=clusters.sums[order], sizes=clusters.sizes[order])


def _eight(values_G: Floats, start: int) -> Floats:
    """The totals of all subsets of the eight groups from ``start`` on."""
    eight = values_G[start : start + 8]
    return _SUBSETS_OF_8[:, : len(eight)] @ eight


def _picks(
    groups: int, *, draws: int, seed: int | Sequence[int], every: bool
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    # The draws depend on the seed and the number of groups alone. Two sets of rows that differ in
    # one score are thus judged by the same subsets, and the order of their verdicts is not luck.
    rng = np.random.default_rng(seed)
    all_B = np.arange(2**groups) if every and groups <= ENUMERATED_GROUPS else None
    for start in range(0, groups, 8):
        if all_B is not None:
            yield start, ((all_B >> start) & 255).astype(np.uint8)
        else:
            drawn_B = rng.integers(0, 256, size=draws, dtype=np.uint8)
            yield start, np.append(np.uint8(0), drawn_B)  # the empty subset comes first


def limits(sums_B: Floats, sizes_B: Floats, alpha: float) -> tuple[float, float]:
    """Returns the alpha quantiles of the subset means from below and above, within [-1, 1].

    The empty subset has no mean; it counts as beyond either limit, which is the "+ 1" of a valid
    Monte-Carlo test. Rank floor(alpha * B) + 1 is the first value that the test does not reject.
    """
    full = sizes_B > 0
    means_B = sums_B[full] / sizes_B[full]
    missing = len(sizes_B) - len(means_B)
    rank = int(np.floor(alpha * len(sizes_B) + TINY)) - missing
    if rank < 0:
        return -1.0, 1.0
    ordered_B = np.partition(means_B, [rank, len(means_B) - 1 - rank])
    return float(ordered_B[rank]), float(ordered_B[len(means_B) - 1 - rank])
