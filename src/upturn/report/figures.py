"""The figure of a search: what rows bought, and what was found on rows nothing was picked on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from upturn.report.charts import Chart, reach

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
    trials: Sequence[TrialPoint], *, champion: float | None, champion_fresh: float | None = None
) -> str:
    """Returns the search as SVG: each trial's estimate against the rows that were spent on it.

    Args:
        trials: the trials; those without a score are left out, and so is the champion, who is a
            level.
        champion: the champion's score on the rows the trials ran on.
        champion_fresh: its score on the finalists' rows, where they were scored.

    Returns:
        The SVG; "" where there is no trial to draw.
    """
    known = [(t, t.score) for t in trials if t.score is not None and t.role != "champion"]
    if not known:
        return ""
    levels = [s for s in (champion, champion_fresh) if s is not None]
    fresh = [t.fresh_score for t, _ in known if t.fresh_score is not None]
    chart = Chart(
        label=_label(len(known), champion, max(s for _, s in known)),
        x=(0.0, 1.12 * max(1, *(t.rows for t, _ in known))),
        y=reach([*levels, *fresh, *(s for _, s in known)]),
    )
    chart.axes("dev rows spent on the trial", lambda v: f"{v:.0f}" if v == round(v) else "")
    for score, kind in ((champion, "level dash"), (champion_fresh, "level thin")):
        if score is not None:
            chart.line((chart.x[0], score), (chart.x[1], score), kind)
    for trial, score in sorted(known, key=lambda pair: not pair[0].pruned):
        chart.dot((trial.rows, score), "trial" if trial.pruned else "trial solid")
        if trial.fresh_score is not None:
            end = (_BESIDE * trial.rows, trial.fresh_score)
            chart.line((trial.rows, score), end, "fresh")
            chart.diamond(end, "fresh")
        if trial.role:
            chart.text((trial.rows, score), f"{trial.name} {trial.role}", "role", left=True)
    return chart.svg()


def _label(trials: int, champion: float | None, best: float) -> str:
    against = "" if champion is None else f"; the champion's score there is {champion:.1%}"
    return (
        f"Estimated dev score of {trials} trials against the rows spent on each. The highest "
        f"estimate is {best:.1%}{against}. The table below has all numbers."
    )
