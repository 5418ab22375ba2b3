"""What every design of the gate is: when it looks, and what it makes of what it sees."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from upturn.errors import ConfigError
from upturn.gate.statistics import Clusters

#: Halvings that find a limit: to 1e-6, of values in [-1, 1].
_HALVINGS = 21


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The holdout's groups in the order in which they are run, fixed before any of them is.

    Attributes:
        order: names of the groups.
        sizes: rows (or weights) of each group, known from the holdout, not from answers.
        cuts: groups that have been run at the end of each stage; the last is all of them.
    """

    order: tuple[str, ...]
    sizes: tuple[float, ...]
    cuts: tuple[int, ...]

    @property
    def stages(self) -> tuple[tuple[str, ...], ...]:
        """The groups of each stage."""
        return tuple(self.order[a:b] for a, b in pairwise((0, *self.cuts)))

    @property
    def times(self) -> tuple[float, ...]:
        """The share of the planned rows that has been run at the end of each stage."""
        total = sum(self.sizes)
        done = [sum(self.sizes[:cut]) for cut in self.cuts[:-1]]
        return (*(d / total if total else 0.0 for d in done), 1.0)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a look is asked for.

    Attributes:
        alpha: one-sided error level of the whole sequence of stages, > 0.
        min_gain: the smallest gain worth a release; where it cannot be reached, rows are wasted.
        draws: random subsets.
        seed: their seed.
    """

    alpha: float
    min_gain: float
    draws: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Interim:
    """What the rows so far say.

    Attributes:
        p_value: one-sided, of "no better".
        level: the error level that may have been spent by now; the p-value is held against it.
        test: how the p-value was computed.
        rejects: "no better" is rejected, now or at an earlier stage.
        futile: the rest of the rows is not worth its calls. It binds nobody: going on all the same
            keeps the error level.
        limits: the effect's interval at two-sided confidence ``1 - 2 * alpha``; computed when
            asked for, since it costs more than the look.
        boundaries: one z value for each stage, where the design has any: what the normal
            approximation of its test asks for.
    """

    p_value: float
    level: float
    test: str
    rejects: bool
    futile: bool
    limits: Callable[[], tuple[float, float]]
    boundaries: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What a holdout would look like to a test, in standard errors of its total (see ``power``).

    Attributes:
        drift: the true gain.
        least: the smallest gain worth a release.
        spread: deviation of the total under sign flips, which is a little more than 1.
        step: half the distance of two totals that can be seen; 0 where they are continuous.
        scale: a standard error, as a share of the rows of the largest group.
        groups: of the holdout.
    """

    drift: float
    least: float
    spread: float
    step: float
    scale: float
    groups: int


class Design(Protocol):
    """When to look at the rows, and what may be concluded then.

    All of one look at a holdout, in one or more stages, errs with at most ``Asked.alpha`` where the
    challenger is no better. Lowering any group's sum never turns ``rejects`` true and never turns
    ``futile`` false, so that a failed row of the challenger never helps it.
    """

    @property
    def name(self) -> str:
        """The file's name, which is what a config calls it."""
        ...

    def cuts(self, groups: int) -> tuple[int, ...]:
        """Returns how many of the groups (at least 1) have been run at the end of each stage."""
        ...

    def look(self, clusters: Clusters, plan: Plan, asked: Asked) -> Interim:
        """Judges the groups that were run, those of the first stages of the plan, in its order."""
        ...

    def power(self, prospect: Prospect, alpha: float) -> float:
        """Returns the chance that "no better" will be rejected, stops for futility heeded."""
        ...


def plan_stages(design: Design, sizes: Mapping[str, float], holdout: str) -> Plan:
    """Returns the order and the stages of a holdout's groups.

    A group's place is a hash of the holdout and its name. Nobody chooses it, no answer changes it,
    and neither does the order of the rows.

    Args:
        design: says how many groups each stage has.
        sizes: group -> its rows or weights, at least one group.
        holdout: sha256 of the holdout.
    """
    cuts = design.cuts(len(sizes))
    names = sorted(sizes) if len(cuts) == 1 else sorted(sizes, key=lambda n: _place(holdout, n))
    return Plan(order=tuple(names), sizes=tuple(float(sizes[n]) for n in names), cuts=cuts)


def check_stages(name: str, *, stages: int, most: int, futility: float) -> None:
    """Refuses settings of a design in stages that break a rule.

    Raises:
        ConfigError: no stages or more than ``most``, or ``futility`` is no chance below 1.
    """
    if not 1 <= stages <= most:
        raise ConfigError(f"design {name}: stages must be in 1 to {most}, got {stages}")
    if not 0 <= futility < 1:
        raise ConfigError(f"design {name}: futility must be in [0, 1), got {futility}")


def equal_cuts(groups: int, stages: int) -> tuple[int, ...]:
    """Returns the ends of stages of about equal size, none of them empty."""
    return tuple(sorted({-(-groups * k // stages) for k in range(1, stages + 1)}))


def lower_limit(rejected: Callable[[float], bool]) -> float:
    """Returns the largest effect in [-1, 1] that a test rejects from below, to 1e-6.

    Args:
        rejected: effect -> whether "at most this effect" is rejected; true below some effect, and
            false above it.
    """
    low, high = -1.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low


def _place(holdout: str, name: str) -> bytes:
    return hashlib.sha256(f"{holdout}\n{name}".encode()).digest()
