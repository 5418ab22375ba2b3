"""The search as a report shows it: one line a trial, and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from upturn.records import Json
from upturn.report.charts import standalone
from upturn.report.figures import Role, TrialPoint, search_figure
from upturn.report.pareto import pareto_figures


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
        program: the config's name, for whoever has a figure alone.
        trials: in the order they entered.
        points: the same, for the figures.
        champion: the champion's score on the rows the trials ran on; champion_fresh: on the
            finalists' rows. None where it has none.
    """

    program: str = ""
    trials: Sequence[TrialLine] = field(default=())
    points: Sequence[TrialPoint] = field(default=())
    champion: float | None = None
    champion_fresh: float | None = None

    @property
    def rows(self) -> int:
        """Dev rows spent, all trials together."""
        return sum(t.rows for t in self.trials)

    @property
    def ranked(self) -> list[TrialLine]:
        """The best first; those without an estimate last."""
        return sorted(self.trials, key=lambda t: (t.estimate is None, -(t.estimate or 0.0), t.name))

    @property
    def figure(self) -> str:
        """What rows bought, as SVG; "" where there is nothing to draw."""
        return search_figure(
            self.points, champion=self.champion, champion_fresh=self.champion_fresh
        )

    @property
    def pareto(self) -> list[str]:
        """Score against cost and against time, as SVG each."""
        return pareto_figures(self.points)

    @property
    def files(self) -> dict[str, bytes]:
        """The figures as files of their own."""
        drawn = {"search.svg": self.figure}
        drawn |= {f"pareto_{i}.svg": svg for i, svg in enumerate(self.pareto, start=1)}
        return {name: standalone(svg, self.program) for name, svg in drawn.items() if svg}

    def to_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> SearchReport:
        return cls(
            program=value["program"],
            trials=tuple(TrialLine(**t) for t in value["trials"]),
            points=tuple(TrialPoint(**p) for p in value["points"]),
            champion=value["champion"],
            champion_fresh=value["champion_fresh"],
        )
