"""The Pareto front of a search: which score is to be had at which cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from upturn.report.charts import Chart, reach
from upturn.report.figures import TrialPoint

#: Rows below which an estimate says too little to lie on a front.
MIN_ROWS = 16


@dataclass(frozen=True)
class Cost:
    """What a row costs, in one of its currencies."""

    of: Callable[[TrialPoint], float]
    label: str


_USD = Cost(lambda t: 1000 * t.cost_usd, "US dollars for 1,000 rows")
_TOKENS = Cost(lambda t: t.input_tokens, "input tokens a row")
_LATENCY = Cost(lambda t: t.latency_s, "seconds a row, summed over its calls")


def front(trials: Sequence[TrialPoint], cost: Callable[[TrialPoint], float]) -> list[TrialPoint]:
    """Returns the trials that none beats in both score and cost, the cheapest first.

    Of trials that are equal in both, the one with the lowest number stands for all.
    """
    kept: list[TrialPoint] = []
    for trial in sorted(trials, key=lambda t: (cost(t), -_height(t), t.number)):
        if not kept or _height(trial) > _height(kept[-1]):
            kept.append(trial)
    return kept


def pareto_figures(trials: Sequence[TrialPoint]) -> list[str]:
    """Returns score against money (or tokens), and against time, as SVG.

    Only trials with a score over at least ``MIN_ROWS`` rows are points. Money is drawn where any
    was spent, else the length of the prompt. What all cost the same is not drawn; where that is the
    first of the two, nothing is.
    """
    known = [t for t in trials if t.score is not None and t.rows >= MIN_ROWS]
    costs = [_USD if any(t.cost_usd > 0 for t in known) else _TOKENS, _LATENCY]
    if len({costs[0].of(t) for t in known}) < 2:
        return []
    return [_figure(known, c) for c in costs if len({c.of(t) for t in known}) > 1]


def _figure(trials: Sequence[TrialPoint], cost: Cost) -> str:
    best = front(trials, cost.of)
    chart = Chart(
        label=f"Estimated dev score against {cost.label}, {len(trials)} trials; "
        f"{len(best)} of them are on the Pareto front, {best[-1].name} highest.",
        x=reach([cost.of(t) for t in trials], share=0.12),
        y=reach([_height(t) for t in trials], share=0.12),
    )
    chart.axes(cost.label, lambda v: f"{v:.4g}" if v >= 0 else "")
    for one, other in pairwise(best):
        corner = (cost.of(other), _height(one))
        chart.line((cost.of(one), _height(one)), corner, "front")
        chart.line(corner, (cost.of(other), _height(other)), "front")
    middle = sum(chart.x) / 2
    for t in sorted(trials, key=lambda t: bool(t.role)):
        at = (cost.of(t), _height(t))
        if t.role:
            chart.diamond(at, "fresh")
            # The champion's name goes below, out of the challenger's way.
            below = 18 if t.role == "champion" else -8
            words = f"{t.name} {t.role}"
            chart.text(at, words, "role", left=at[0] > middle, dy=below)
        else:
            chart.dot(at, "trial solid" if t in best else "trial")
    return chart.svg()


def _height(trial: TrialPoint) -> float:
    """Where a score is drawn; one that is not known is drawn nowhere."""
    return math.nan if trial.score is None else trial.score
