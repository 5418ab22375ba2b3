"""The test and the interval: sign flips of whole groups, and their inversion.

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
_TINY = 1e-9
_SUBSETS_OF_8 = ((np.arange(256)[:, None] >> np.arange(8)) & 1).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Differences summed by group, in the order of the groups' names.

    Attributes:
        sums: sum of differences per group. sizes: rows per group. Both have axis G.
    """

    sums: Floats
    sizes: Floats

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
    """Sums differences by group; at least one is needed."""
    assert differences, "no differences to cluster"
    names, index_E = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sums_G = np.bincount(index_E, weights=np.asarray(differences, float), minlength=len(names))
    sizes_G = np.bincount(index_E, weights=np.ones(len(index_E)))
    return Clusters(sums=sums_G.astype(np.float64), sizes=sizes_G.astype(np.float64))


def analyse(clusters: Clusters, *, alpha: float, draws: int, seed: int) -> Finding:
    """Tests "no better" and bounds the effect at two-sided confidence ``1 - 2 * alpha``.

    The p-value is exact (by convolution) where the group sums lie on a lattice, as they do for
    binary scores and for most weighted parts, and where there are few groups; otherwise it is
    ``(b + 1) / (draws + 1)`` over random subsets (Phipson and Smyth 2010). The same clusters and
    seed give the same numbers.
    """
    scale = _lattice(clusters.sums)
    sums_G = np.round(clusters.sums * scale) if scale else clusters.sums
    sums_B, sizes_B = _subsets(sums_G, clusters.sizes, draws=draws, seed=seed)
    low, high = _limits(sums_B / (scale or 1), sizes_B, alpha)
    enumerated = len(sums_G) <= ENUMERATED_GROUPS
    if scale and not enumerated and len(sums_G) * np.abs(sums_G).sum() <= EXACT_STEPS:
        p_value, exact = _exact_p(sums_G.astype(int)), True
    else:
        p_value, exact = float((sums_B <= _TINY).mean()), enumerated
    return Finding(
        p_value=p_value,
        test=_name(clusters, scale=scale, exact=exact, draws=draws),
        low=low,
        high=high,
    )


def _name(clusters: Clusters, *, scale: int, exact: bool, draws: int) -> str:
    single = bool((clusters.sizes == 1).all())
    if not exact:
        return f"sign-flip, {draws} draws" + ("" if single else ", by group")
    if single:
        return "exact McNemar" if scale == 1 else "exact sign-flip"
    return "exact sign-flip, by group"


def _lattice(sums_G: Floats) -> int:
    """Returns the smallest q for which all sums are multiples of 1/q, or 0."""
    for q in range(1, FINEST_LATTICE + 1):
        if np.abs(sums_G * q - np.round(sums_G * q)).max() < _TINY:
            return q
    return 0


def _exact_p(steps_G: NDArray[np.int64]) -> float:
    """P(sum over a random set of groups <= 0), by adding one group at a time."""
    negative = int(-steps_G[steps_G < 0].sum())
    chance = np.zeros(int(np.abs(steps_G).sum()) + 1)
    chance[negative] = 1.0
    for step in steps_G[steps_G != 0]:
        moved = np.zeros_like(chance)
        if step > 0:
            moved[step:] = chance[:-step]
        else:
            moved[:step] = chance[-step:]
        chance = (chance + moved) / 2
    return float(min(chance[: negative + 1].sum(), 1.0))


def _subsets(sums_G: Floats, sizes_G: Floats, *, draws: int, seed: int) -> tuple[Floats, Floats]:
    """Returns sums and sizes of subsets of groups: all of them, or the empty one and ``draws``.

    Groups are taken eight at a time: a byte picks one of their 256 subsets, whose totals are looked
    up. Memory is that of the draws, whatever the number of groups.
    """
    totals_B = [np.zeros(1), np.zeros(1)]
    for start, picks_B in _picks(len(sums_G), draws=draws, seed=seed):
        for column, values_G in enumerate((sums_G, sizes_G)):
            eight = values_G[start : start + 8]
            totals_B[column] = totals_B[column] + (_SUBSETS_OF_8[:, : len(eight)] @ eight)[picks_B]
    return totals_B[0], totals_B[1]


def _picks(groups: int, *, draws: int, seed: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    # The draws depend on the seed and the number of groups alone. Two sets of rows that differ in
    # one score are thus judged by the same subsets, and the order of their verdicts is not luck.
    rng = np.random.default_rng(seed)
    every = np.arange(2**groups) if groups <= ENUMERATED_GROUPS else None
    for start in range(0, groups, 8):
        if every is not None:
            yield start, ((every >> start) & 255).astype(np.uint8)
        else:
            drawn_B = rng.integers(0, 256, size=draws, dtype=np.uint8)
            yield start, np.append(np.uint8(0), drawn_B)  # the empty subset comes first


def _limits(sums_B: Floats, sizes_B: Floats, alpha: float) -> tuple[float, float]:
    """Returns the alpha quantiles of the subset means from below and above, within [-1, 1].

    The empty subset has no mean; it counts as beyond either limit, which is the "+ 1" of a valid
    Monte-Carlo test. Rank floor(alpha * B) + 1 is the first value that the test does not reject.
    """
    full = sizes_B > 0
    means_B = sums_B[full] / sizes_B[full]
    missing = len(sizes_B) - len(means_B)
    rank = int(np.floor(alpha * len(sizes_B) + _TINY)) - missing
    if rank < 0:
        return -1.0, 1.0
    ordered_B = np.partition(means_B, [rank, len(means_B) - 1 - rank])
    return float(ordered_B[rank]), float(ordered_B[len(means_B) - 1 - rank])
