"""The Pareto front of a search: which score is to be had at which cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from upturn.report.figures import BLUE, GREEN, RED, TrialPoint, height, mark, new_figure, plain, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Rows below which an estimate says too little to lie on a front.
MIN_ROWS = 16
_MARKERS = {"champion": "s", "challenger": "D"}


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
    for trial in sorted(trials, key=lambda t: (cost(t), -height(t.score), t.number)):
        if not kept or height(trial.score) > height(kept[-1].score):
            kept.append(trial)
    return kept


def pareto_figure(trials: Sequence[TrialPoint], *, title: str) -> bytes:
    """Returns a PNG of score against money (or tokens) and against time, or b"".

    Only trials with a score over at least ``MIN_ROWS`` rows are points. Money is drawn where any
    was spent, else the length of the prompt. Nothing is drawn where all cost the same.
    """
    known = [t for t in trials if t.score is not None and t.rows >= MIN_ROWS]
    costs = [_USD if any(t.cost_usd > 0 for t in known) else _TOKENS, _LATENCY]
    if len({costs[0].of(t) for t in known}) < 2:
        return b""
    figure = new_figure()
    panels = [c for c in costs if len({c.of(t) for t in known}) > 1]
    for i, cost in enumerate(panels):
        _panel(figure.add_subplot(1, len(panels), i + 1), known, cost)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    figure.axes[0].set_ylabel("estimated dev score")
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4,
        frameon=False,
        fontsize=9,
    )
    return png(figure)


def _panel(axes: Axes, trials: Sequence[TrialPoint], cost: Cost) -> None:
    from matplotlib.ticker import MaxNLocator

    best = front(trials, cost.of)
    xs, ys = [cost.of(t) for t in best], [height(t.score) for t in best]
    axes.step(xs, ys, where="post", color=GREEN, linewidth=1.5, label="Pareto front")
    plainly = [t for t in trials if not t.role]
    axes.scatter(
        [cost.of(t) for t in plainly],
        [height(t.score) for t in plainly],
        s=30,
        edgecolors=BLUE,
        facecolors="none",
        zorder=3,
        label="trial",
    )
    middle = (min(map(cost.of, trials)) + max(map(cost.of, trials))) / 2
    for t in trials:
        at = (cost.of(t), height(t.score))
        if t.role:
            axes.scatter(*at, s=54, marker=_MARKERS[t.role], color=RED, zorder=4, label=t.role)
        if t.role or t in best:
            mark(axes, t, at, left=at[0] > middle)
    axes.set_xlabel(cost.label)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.margins(x=0.12, y=0.12)
    plain(axes)
