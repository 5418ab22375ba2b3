"""One look at all rows: sign flips by group, which is McNemar's exact test where rows are single.

The design with the most power for a given number of rows, and the one that needs them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from upturn.gate.designs.base import Asked, Interim, Plan, Prospect
from upturn.gate.statistics import (
    ENUMERATED_GROUPS,
    TINY,
    Clusters,
    Finding,
    affordable,
    by_size,
    exact_p,
    is_exact,
    lattice,
    limits,
    subsets,
)


@dataclass(frozen=True, kw_only=True)
class FixedDesign:
    """All rows, then one test."""

    name: str = "fixed"

    def cuts(self, groups: int) -> tuple[int, ...]:
        """One stage of all groups."""
        return (groups,)

    def look(self, clusters: Clusters, plan: Plan, asked: Asked) -> Interim:
        """The p-value of all rows."""
        found = analyse(clusters.present, alpha=asked.alpha, draws=asked.draws, seed=asked.seed)
        return Interim(
            p_value=found.p_value,
            level=asked.alpha,
            test=found.test,
            # The two agree but for the noise of the draws; where not, the cautious one counts.
            rejects=found.p_value <= asked.alpha and found.low > 0,
            futile=False,
            limits=lambda: (found.low, found.high),
        )

    def power(self, prospect: Prospect, alpha: float) -> float:
        """The chance of a normal total to be beyond the flips' quantile and half a step."""
        wanted = prospect.spread * NormalDist().inv_cdf(1 - alpha) + prospect.step
        return NormalDist().cdf(prospect.drift - wanted)


def analyse(clusters: Clusters, *, alpha: float, draws: int, seed: int) -> Finding:
    """Tests "no better" and bounds the effect at two-sided confidence ``1 - 2 * alpha``.

    The p-value is exact (by convolution) where the group sums lie on a lattice, as they do for
    binary scores and for most weighted parts, and where there are few groups; otherwise it is
    ``(b + 1) / (draws + 1)`` over random subsets (Phipson and Smyth 2010). The same sums and sizes,
    in any order, and the same seed give the same numbers.
    """
    clusters, draws = by_size(clusters), affordable(draws, len(clusters.sums))
    scale = lattice(clusters.sums)
    sums_G = np.round(clusters.sums * scale) if scale else clusters.sums
    sums_B, sizes_B = subsets(sums_G, clusters.sizes, draws=draws, seed=seed)
    low, high = limits(sums_B / (scale or 1), sizes_B, alpha)
    enumerated = len(sums_G) <= ENUMERATED_GROUPS
    if not enumerated and is_exact(clusters.sums, scale):
        p_value, exact = exact_p([sums_G.astype(int)], [alpha])[0], True
    else:
        p_value, exact = float((sums_B <= TINY).mean()), enumerated
    return Finding(
        p_value=p_value,
        test=_name(clusters, scale=scale, exact=exact, draws=draws),
        low=low,
        high=high,
    )


def _name(clusters: Clusters, *, scale: int, exact: bool, draws: int) -> str:
    single = bool((clusters.sizes == 1).all())
    weighted = not bool((clusters.sizes % 1 == 0).all())
    by = "" if single else ", weighted, by group" if weighted else ", by group"
    if not exact:
        return f"sign-flip, {draws} draws{by}"
    if single:
        return "exact McNemar" if scale == 1 else "exact sign-flip"
    return f"exact sign-flip{by}"


DESIGN = FixedDesign
