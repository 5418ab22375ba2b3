"""The figure of a search: what each trial scored, and what was left of it on fresh rows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette: told apart with any common colour blindness, and by shape besides.
_TRIAL, _BEST, _FRESH, _SEED = "#0072B2", "#009E73", "#D55E00", "#555555"


@dataclass(frozen=True, kw_only=True)
class TrialPoint:
    """One trial on the figure. Scores are fractions.

    Attributes:
        number: the trial's number, from 0.
        score: its dev score, None where it has none.
        pruned: stopped early, so ``score`` is over fewer rows.
        fresh_score: score on dev rows it was not picked on, for finalists.
    """

    number: int
    score: float | None
    pruned: bool = False
    fresh_score: float | None = None


def best_so_far(trials: Sequence[TrialPoint]) -> list[float | None]:
    """Returns, per trial, the best complete score up to and including it."""
    best: float | None = None
    curve: list[float | None] = []
    for trial in trials:
        if trial.score is not None and not trial.pruned:
            best = trial.score if best is None else max(best, trial.score)
        curve.append(best)
    return curve


def search_figure(
    trials: Sequence[TrialPoint],
    *,
    champion: float | None,
    title: str,
    champion_fresh: float | None = None,
) -> bytes:
    """Returns a PNG of the search.

    Args:
        trials: in the order they ran.
        champion: the champion's score on the rows the trials ran on.
        title: one line above the axes.
        champion_fresh: its score on the finalists' rows, where they were scored.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw_trials(axes, trials)
    _draw_level(axes, champion, "champion, same rows", "--")
    _draw_level(axes, champion_fresh, "champion, fresh rows", ":")
    _dress(axes, title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _draw_trials(axes: Axes, trials: Sequence[TrialPoint]) -> None:
    whole = [t for t in trials if t.score is not None and not t.pruned]
    pruned = [t for t in trials if t.score is not None and t.pruned]
    fresh = [t for t in trials if t.score is not None and t.fresh_score is not None]
    steps = [
        (t.number, b) for t, b in zip(trials, best_so_far(trials), strict=True) if b is not None
    ]
    if steps:
        xs, ys = zip(*steps, strict=True)
        axes.step(xs, ys, where="post", color=_BEST, linewidth=1.5, label="best so far")
    _dots(axes, pruned, "trial, stopped early", facecolors="none")
    _dots(axes, whole, "trial", facecolors=_TRIAL)
    for t in fresh:
        axes.plot([t.number] * 2, [_y(t.score), _y(t.fresh_score)], color=_FRESH, linewidth=1)
    if fresh:
        axes.scatter(
            [t.number for t in fresh],
            [_y(t.fresh_score) for t in fresh],
            marker="D",
            color=_FRESH,
            s=46,
            zorder=4,
            label="finalist, fresh rows",
        )


def _dots(
    axes: Axes,
    trials: Sequence[TrialPoint],
    label: str,
    *,
    facecolors: str,
) -> None:
    if trials:
        axes.scatter(
            [t.number for t in trials],
            [_y(t.score) for t in trials],
            s=30,
            edgecolors=_TRIAL,
            facecolors=facecolors,
            zorder=3,
            label=label,
        )


def _y(score: float | None) -> float:
    return float("nan") if score is None else score


def _draw_level(axes: Axes, score: float | None, label: str, style: str) -> None:
    if score is not None:
        axes.axhline(score, color=_SEED, linestyle=style, linewidth=1.2, label=label)


def _dress(axes: Axes, title: str) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("trial, in the order they ran")
    axes.set_ylabel("dev score")
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
