"""A few looks with alpha spending, each by sign flips of all groups run so far.

If the challenger is no better, a group's sum is as likely S_g as -S_g. So all sign vectors are
equally likely, and a test in stages errs with at most alpha if the share of sign vectors that it
rejects by the end of stage k is at most a_k, where a_1 <= a_2 <= … <= a_K = alpha are fixed before
(Lan and DeMets 1983). At stage k it rejects the largest totals among the vectors that no earlier
stage rejected.

In terms of random sets A of groups (see ``statistics``): let X_k be the sum of S_g over the part of
A that was run by stage k. The vectors with the largest totals are the sets with the lowest X_k, so
each stage takes the lowest sets, up to its share, out of the distribution. What was seen is the
empty set with sum 0, and the p-value is a_(k-1) plus the chance that a set which is left has
X_k <= 0 (the stage-wise order of Armitage 1957 and Tsiatis, Rosner and Mehta 1984). Two things
follow:

- With one stage it is the fixed design's p-value.
- Lowering any S_g raises every p-value. Each S_g that is lowered lowers X_1 in every quantile;
  taking the lowest share out keeps that order, since the share is the same; adding the next stage,
  which is independent of it, keeps it too. The draws keep it for the same reason: they are sorted
  before an independent draw of the next stage is added to each.

The interval holds whenever one stops: it is what no stage so far rejects (repeated confidence
intervals, Jennison and Turnbull 1989, JRSS-B 51).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import NormalDist

import numpy as np

from upturn.errors import ConfigError
from upturn.events.problems import one_of
from upturn.gate.boundaries import SPENDING, Density, spent_by, z_boundaries
from upturn.gate.designs.base import (
    Asked,
    Interim,
    Plan,
    Prospect,
    check_stages,
    equal_cuts,
    lower_limit,
)
from upturn.gate.hope import conditional_power
from upturn.gate.statistics import (
    TINY,
    Clusters,
    Floats,
    affordable,
    by_size,
    exact_p,
    is_exact,
    lattice,
    subsets,
)

#: Points of the density that power is reckoned from: enough for its third decimal.
_POINTS = 101


@dataclass(frozen=True, kw_only=True)
class GroupSequentialDesign:
    """Stages of equal numbers of groups, with an early end for a sure gain or a hopeless one.

    Attributes:
        stages: looks at most.
        spending: how the error level is spread over them: ``power``, ``obrien_fleming`` or
            ``pocock``.
        rho: exponent of ``power``: near 1 much is spent early, near 3 little.
        futility: stop where the chance of a rejection at the end is below this; 0 never does.
    """

    name: str = "group_sequential"
    stages: int = 10
    spending: str = "power"
    rho: float = 2.5
    futility: float = 0.1

    def __post_init__(self) -> None:
        check_stages(self.name, stages=self.stages, most=50, futility=self.futility)
        if self.spending not in SPENDING:
            raise ConfigError(f"design {self.name}: spending {one_of(SPENDING, self.spending)}")
        if not 0.5 <= self.rho <= 10:
            raise ConfigError(f"design {self.name}: rho must be in [0.5, 10], got {self.rho}")

    def cuts(self, groups: int) -> tuple[int, ...]:
        """Stages with the same number of groups, but for one."""
        return equal_cuts(groups, self.stages)

    def spent(self, times: Sequence[float], alpha: float) -> tuple[float, ...]:
        """Returns the error spent by the end of each stage."""
        return spent_by(SPENDING[self.spending](self.rho), times, alpha)

    def look(self, clusters: Clusters, plan: Plan, asked: Asked) -> Interim:
        """Tests the groups so far, with the error that is spent by now."""
        stage = plan.cuts.index(len(clusters.sums))
        spent = self.spent(plan.times, asked.alpha)
        bounds = z_boundaries(plan.times, spent)
        cuts, levels = plan.cuts[: stage + 1], spent[: stage + 1]
        asked = replace(asked, draws=affordable(asked.draws, len(plan.order)))
        drawn = _Drawn.of(clusters, cuts, asked)
        drawn_p = stage_p(drawn.sums(0.0), levels)
        p_values = _exact(clusters, cuts, levels)
        crossed = [k for k, p in enumerate(p_values or drawn_p) if p <= levels[k]]
        at = crossed[0] if crossed else stage
        sure = any(p <= a for p, a in zip(drawn_p, levels, strict=True))
        return Interim(
            p_value=float((p_values or drawn_p)[at]),
            level=levels[at],
            test=f"sign-flip by group in {len(plan.cuts)} stages ({self.spending}), "
            + ("exact" if p_values else f"{asked.draws} draws"),
            # The two agree but for the noise of the draws; where not, the cautious one counts.
            rejects=bool(crossed) and sure,
            futile=stage + 1 < len(plan.cuts)
            and self._power(clusters, plan.times[stage], asked, bounds[-1]) < self.futility,
            limits=lambda: (drawn.low(levels), -drawn.negated().low(levels)),
            boundaries=bounds,
        )

    def power(self, prospect: Prospect, alpha: float) -> float:
        """By recursive integration over the stages; see ``boundaries``."""
        stages = len(self.cuts(prospect.groups))
        times = tuple(k / stages for k in range(1, stages + 1))
        bounds = z_boundaries(times, self.spent(times, alpha))
        density, chance, before = Density(prospect.drift, _POINTS), 0.0, 0.0
        for time, z in zip(times, bounds, strict=True):
            wanted = z * prospect.spread * time**0.5 + prospect.step
            density.step(time - before)
            chance += density.crossing(wanted)
            if time < 1:
                hopeless = self._hopeless(time, prospect, bounds[-1])
                density.cut(wanted, above=hopeless)
            before = time
        return chance

    def _hopeless(self, time: float, prospect: Prospect, z: float) -> float:
        """The total below which a stage ends as futile; ``hope`` solved for the total so far."""
        if self.futility <= 0:
            return -math.inf
        wanted = z + math.sqrt(1 - time) * NormalDist().inv_cdf(self.futility)
        found = wanted - prospect.least * (1 - time)
        return found if found <= prospect.least * time else max(wanted * time, 0.0)

    def _power(self, clusters: Clusters, share: float, asked: Asked, z: float) -> float:
        power = conditional_power(
            clusters.sums, clusters.sizes, share=share, min_gain=asked.min_gain, z=z
        )
        return float(power)


def stage_p(stages: Sequence[Floats], spent: Sequence[float]) -> list[Floats]:
    """Returns the p-value of each stage from random sets of groups; see the module.

    Args:
        stages: for each stage the sums of random sets of its own groups, axis B first, the empty
            set at 0 and all other draws independent of other stages'. Further axes are worlds of
            their own. Draws must not depend on the sums.
        spent: error spent by the end of each stage.

    Returns:
        One array for each stage, without axis B.
    """
    total = len(stages[0])
    alive, gone = stages[0][1:], 0
    found: list[Floats] = []
    for k, level in enumerate(spent):
        if k:
            # Those that left are the lowest, so the rest is in order: rank by rank a fresh draw.
            alive = alive + stages[k][1 + gone :]
        found.append((gone + 1 + (alive <= TINY).sum(axis=0)) / total)
        left = int(np.floor(level * total + TINY))
        if k + 1 < len(spent):
            alive = np.sort(alive, axis=0)[left - gone :]
        gone = left
    return found


@dataclass(frozen=True)
class _Drawn:
    """Sums and sizes of random sets of groups, one pair of arrays for each stage; axis B."""

    stages: tuple[tuple[Floats, Floats], ...]

    @classmethod
    def of(cls, clusters: Clusters, cuts: Sequence[int], asked: Asked) -> _Drawn:
        parts = [
            by_size(Clusters(sums=clusters.sums[a:b], sizes=clusters.sizes[a:b]))
            for a, b in pairwise((0, *cuts))
        ]
        return cls(
            tuple(
                subsets(
                    part.sums,
                    part.sizes,
                    draws=asked.draws,
                    # The first stage draws what the fixed design would.
                    seed=[asked.seed, k] if k else asked.seed,
                    every=len(cuts) == 1,
                )
                for k, part in enumerate(parts)
            )
        )

    def sums(self, shift: float) -> list[Floats]:
        """The sums if every row had gained less by a shift."""
        return [sums_B - shift * sizes_B for sums_B, sizes_B in self.stages]

    def negated(self) -> _Drawn:
        return _Drawn(tuple((-sums_B, sizes_B) for sums_B, sizes_B in self.stages))

    def low(self, levels: Sequence[float]) -> float:
        def rejected(shift: float) -> bool:
            found = stage_p(self.sums(shift), levels)
            return any(p <= a for p, a in zip(found, levels, strict=True))

        return lower_limit(rejected)


def _exact(clusters: Clusters, cuts: Sequence[int], levels: Sequence[float]) -> list[float]:
    """The stages' exact p-values, or none where the sums lie on no lattice."""
    scale = lattice(clusters.sums)
    if not is_exact(clusters.sums, scale):
        return []
    steps_G = np.round(clusters.sums * scale).astype(int)
    return exact_p([steps_G[a:b] for a, b in pairwise((0, *cuts))], levels)


DESIGN = GroupSequentialDesign
