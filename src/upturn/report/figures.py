"""The figures of a search: what rows bought, and what a score costs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart with any common colour blindness, and by shape besides.
BLUE, GREEN, RED, GREY = "#0072B2", "#009E73", "#D55E00", "#555555"

#: Fresh scores stand a little to the right: finalists ran on the same number of rows.
_BESIDE = 1.06

Role = Literal["", "champion", "challenger"]


@dataclass(frozen=True, kw_only=True)
class TrialPoint:
    """One trial on a figure. Scores are fractions; costs are means over its rows.

    Attributes:
        number: the trial's number, from 0.
        score: its estimate on dev, None where it has none.
        pruned: stopped early, so ``score`` is over fewer rows.
        fresh_score: score on dev rows it was not picked on, for finalists.
        rows: dev rows that it ran.
        cost_usd, input_tokens, latency_s: of one row.
        role: who it is in the turn.
    """

    number: int
    score: float | None
    pruned: bool = False
    fresh_score: float | None = None
    rows: int = 0
    cost_usd: float = 0.0
    input_tokens: float = 0.0
    latency_s: float = 0.0
    role: Role = ""

    @property
    def name(self) -> str:
        return f"t{self.number:03d}"


def search_figure(
    trials: Sequence[TrialPoint],
    *,
    champion: float | None,
    title: str,
    champion_fresh: float | None = None,
) -> bytes:
    """Returns a PNG of the search: each trial's estimate against the rows that were spent on it.

    Args:
        trials: the trials.
        champion: the champion's score on the rows the trials ran on.
        title: one line above the axes.
        champion_fresh: its score on the finalists' rows, where they were scored.
    """
    figure = new_figure()
    axes = figure.add_subplot()
    _draw_trials(axes, [t for t in trials if t.score is not None])
    _draw_level(axes, champion, "champion, same rows", "--")
    _draw_level(axes, champion_fresh, "champion, fresh rows", ":")
    _dress(axes, title)
    return png(figure)


def _draw_trials(axes: Axes, trials: Sequence[TrialPoint]) -> None:
    left = [t for t in trials if t.pruned]
    stayed = [t for t in trials if not t.pruned]
    fresh = [t for t in trials if t.fresh_score is not None]
    _dots(axes, left, "trial that left", facecolors="none")
    _dots(axes, stayed, "trial that stayed", facecolors=BLUE)
    for t in fresh:
        ends = [height(t.score), height(t.fresh_score)]
        axes.plot([t.rows, _BESIDE * t.rows], ends, color=RED, linewidth=1)
    if fresh:
        axes.scatter(
            [_BESIDE * t.rows for t in fresh],
            [height(t.fresh_score) for t in fresh],
            marker="D",
            color=RED,
            s=46,
            zorder=4,
            label="finalist, fresh rows",
        )
    for t in trials:
        if t.role == "challenger":
            mark(axes, t, (t.rows, height(t.score)), left=True)


def _dots(axes: Axes, trials: Sequence[TrialPoint], label: str, *, facecolors: str) -> None:
    if trials:
        axes.scatter(
            [t.rows for t in trials],
            [height(t.score) for t in trials],
            s=30,
            edgecolors=BLUE,
            facecolors=facecolors,
            zorder=3,
            label=label,
        )


def _draw_level(axes: Axes, score: float | None, label: str, style: str) -> None:
    if score is not None:
        axes.axhline(score, color=GREY, linestyle=style, linewidth=1.2, label=label)


def _dress(axes: Axes, title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("dev rows spent on the trial")
    axes.set_ylabel("estimated dev score")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    plain(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)


def new_figure() -> Figure:
    """An empty figure of the size that all figures of a search have."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def plain(axes: Axes) -> None:
    """Scores as percent, a quiet grid, no box."""
    from matplotlib.ticker import PercentFormatter

    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def height(score: float | None) -> float:
    """Where a score is drawn; one that is not known is drawn nowhere."""
    return float("nan") if score is None else score


def mark(axes: Axes, trial: TrialPoint, at: tuple[float, float], *, left: bool = False) -> None:
    """Writes who a trial is beside its point; the champion's name goes below, out of the way."""
    axes.annotate(
        f"{trial.name} {trial.role}".strip(),
        at,
        xytext=(-6 if left else 6, -13 if trial.role == "champion" else 7),
        textcoords="offset points",
        ha="right" if left else "left",
        fontsize=8,
        color=GREEN if trial.role else GREY,
        fontweight="bold" if trial.role else "normal",
    )
