"""Effects and their intervals about one line of no difference: a forest plot, one bar a row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from upturn.gate.designs.fixed import analyse
from upturn.gate.pairing import Compared, compare
from upturn.gate.report import GuardResult, SliceResult
from upturn.gate.statistics import cluster
from upturn.records import Evaluation

#: Fewer groups than this give an interval that says nothing.
MIN_GROUPS = 5
_DRAWS = 5_000

#: Slice -> lower and upper end of its effect's interval.
Limits = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Places in percent of the plot's width. The axis is symmetric, so that a gain points right.

    Attributes:
        effect: where the effect is.
        low, high: the ends of its interval; None where it has none.
    """

    effect: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One slice in the plot; ``guard`` is None where it was not judged."""

    slice: SliceResult
    guard: GuardResult | None
    bar: Bar
    low: float | None
    high: float | None


def bar(effect: float, low: float | None, high: float | None, reach: float) -> Bar:
    """Returns where an effect is drawn on an axis from ``-reach`` to ``reach``."""
    ends = [None if v is None else _at(v, reach) for v in (low, high)]
    return Bar(effect=_at(effect, reach), low=ends[0], high=ends[1])


def guard_of(found: SliceResult, guards: Sequence[GuardResult]) -> GuardResult | None:
    """Returns the guard that judged a slice, or None."""
    return next((g for g in guards if g.name == f"slice {found.name}"), None)


def forest(
    slices: Sequence[SliceResult], guards: Sequence[GuardResult], limits: Limits
) -> list[Line]:
    """Returns the slices on one axis, the worst effect first: that is what one looks for."""
    known = [(s, *limits.get(s.name, (None, None))) for s in slices]
    reach = 1.1 * max(
        [abs(v) for s, low, high in known for v in (s.effect, low, high) if v] + [0.01]
    )
    found = [
        Line(
            slice=s,
            guard=guard_of(s, guards),
            bar=bar(s.effect, low, high, reach),
            low=low,
            high=high,
        )
        for s, low, high in known
    ]
    return sorted(found, key=lambda line: (line.slice.effect, line.slice.name))


def slice_limits(
    champion: Evaluation, challenger: Evaluation, *, confidence: float
) -> dict[str, tuple[float, float]]:
    """Returns the interval of each slice's effect, by slice, from the groups in it.

    Each interval holds for its slice alone: of twenty, one misses at a confidence of 95 % by
    chance. Slices in fewer than ``MIN_GROUPS`` groups have none.
    """
    members: defaultdict[str, list[Compared]] = defaultdict(list)
    for row in compare(champion, challenger):
        for name, value in row.baseline_row.slices.items():
            members[f"{name}={value}"].append(row)
    found: dict[str, tuple[float, float]] = {}
    for name, rows in members.items():
        clusters = cluster([r.difference for r in rows], [r.baseline_row.group for r in rows])
        if len(clusters.sums) >= MIN_GROUPS:
            made = analyse(clusters, alpha=(1 - confidence) / 2, draws=_DRAWS, seed=0)
            found[name] = (made.low, made.high)
    return found


def _at(value: float, reach: float) -> float:
    return max(0.0, min(100.0, 50 + 50 * value / reach))
