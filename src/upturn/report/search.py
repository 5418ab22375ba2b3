"""The search as a report shows it: one line a trial, and its figures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from upturn.report.figures import Role


@dataclass(frozen=True, kw_only=True)
class TrialLine:
    """One trial in the table.

    Attributes:
        name: as in the tracker, ``t017``.
        origins: choice -> where it came from.
        rows: dev rows that it ran.
        estimate: its estimated score on dev, None where no row is known.
        reason: why it left, or that it stayed.
        finished: it ran on every row.
        fresh_score: score on rows it was not picked on, for finalists.
        role: who it is in the turn.
    """

    name: str
    origins: Mapping[str, str]
    rows: int
    estimate: float | None
    reason: str
    finished: bool = False
    fresh_score: float | None = None
    role: Role = ""


@dataclass(frozen=True, kw_only=True)
class SearchReport:
    """What a report says about the search.

    Attributes:
        trials: in the order they entered.
        rows: dev rows spent, all trials together.
        figure_png, pareto_png: the figures; empty where there is nothing to draw.
    """

    trials: Sequence[TrialLine] = field(default=())
    figure_png: bytes = b""
    pareto_png: bytes = b""

    @property
    def rows(self) -> int:
        return sum(t.rows for t in self.trials)

    @property
    def ranked(self) -> list[TrialLine]:
        """The best first; those without an estimate last."""
        return sorted(self.trials, key=lambda t: (t.estimate is None, -(t.estimate or 0.0), t.name))

    @property
    def figure(self) -> str:
        return base64.b64encode(self.figure_png).decode()

    @property
    def pareto(self) -> str:
        return base64.b64encode(self.pareto_png).decode()
