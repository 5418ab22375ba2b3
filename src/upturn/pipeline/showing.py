"""The search as its report shows it: plain records from trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from upturn.records import Row
from upturn.report.figures import Role, TrialPoint
from upturn.report.search import SearchReport, TrialLine
from upturn.search import SearchResult, Trial


def search_report(
    search: SearchResult,
    *,
    program: str,
    origins: Callable[[Trial], Mapping[str, str]],
    challenger: str = "",
) -> SearchReport:
    """Returns the table of a search and what its figures are drawn from.

    Args:
        search: how it ended.
        program: the config's name.
        origins: a trial's choices -> where each came from.
        challenger: id of the candidate that went before the gate, or "".
    """
    roles: dict[str, Role] = {challenger: "challenger", search.start.candidate.id: "champion"}
    fresh = {f.candidate.id: f.fresh.score for f in (*search.finalists, search.start)}
    return SearchReport(
        program=program,
        trials=tuple(_line(t, fresh, roles, origins(t)) for t in search.trials),
        points=tuple(_point(t, fresh, roles) for t in search.trials),
        champion=search.start.searched.score,
        champion_fresh=search.start.fresh.score,
    )


def _point(
    trial: Trial, fresh: Mapping[str, float | None], roles: Mapping[str, Role]
) -> TrialPoint:
    rows = trial.evaluation.rows
    return TrialPoint(
        number=trial.number,
        score=trial.estimate,
        pruned=not trial.finished,
        fresh_score=fresh.get(trial.candidate.id),
        rows=len(rows),
        cost_usd=_mean(rows, lambda r: r.cost_usd),
        input_tokens=_mean(rows, lambda r: r.input_tokens),
        latency_s=_mean(rows, lambda r: r.latency_s),
        role=roles.get(trial.candidate.id, ""),
    )


def _mean(rows: Sequence[Row], value: Callable[[Row], float]) -> float:
    return sum(map(value, rows)) / len(rows) if rows else 0.0


def _line(
    trial: Trial,
    fresh: Mapping[str, float | None],
    roles: Mapping[str, Role],
    origins: Mapping[str, str],
) -> TrialLine:
    return TrialLine(
        name=trial.name,
        origins=origins,
        rows=len(trial.evaluation.rows),
        estimate=trial.estimate,
        reason=trial.reason,
        finished=trial.finished,
        fresh_score=fresh.get(trial.candidate.id),
        role=roles.get(trial.candidate.id, ""),
    )
