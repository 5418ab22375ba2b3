"""What a tracker takes, and what it promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from upturn.records import Candidate, Evaluation, Example


class RunKind(StrEnum):
    """What a candidate was in its turn."""

    BASELINE = "baseline"  # the champion, run again now on dev
    TRIAL = "trial"  # one candidate of the search
    FINALIST = "finalist"  # re-scored on dev rows it was not picked on
    CHAMPION = "champion"  # on the holdout
    CHALLENGER = "challenger"  # on the holdout


class RunState(StrEnum):
    """How a candidate's evaluation ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"  # stopped early by the race: its score is over fewer rows
    FAILED = "failed"  # an outage or a cap: its score is not to be trusted


class TurnStatus(StrEnum):
    """How a turn ended."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"  # an error of ours or of the world
    KILLED = "KILLED"  # interrupted by a person


@dataclass(frozen=True, kw_only=True)
class TurnInfo:
    """What is known of a turn before its first call.

    Attributes:
        turn: id of the turn; the same id resumes the same turn.
        program: name of the program: the experiment, and the registered model's name.
        config_yaml: the resolved config; the tracker masks anything that looks like a secret.
        snapshot_id: sha256 of the snapshot.
        study: name of the search's study.
        model_id: model string with which the program runs.
        seed: the turn's seed.
        tags: further searchable facts.
    """

    turn: str
    program: str
    config_yaml: str
    snapshot_id: str
    study: str
    model_id: str
    seed: int
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One candidate's evaluation, as a run.

    Attributes:
        kind: what the candidate was.
        name: short name, unique among the runs of its kind in one turn ("t017").
        candidate: the candidate.
        metrics: name -> value, objective first. Names are ``<split>/<what>``: ``dev/score``,
            ``holdout/score``, ``dev/failed``, parts as ``dev/team``. Fractions, seconds, USD.
            None is not logged.
        params: searchable choices; the candidate's ``choices`` where left empty.
        tags: further searchable facts.
        state: how the evaluation ended.
        seconds: how long it took; 0 where unknown.
    """

    kind: RunKind
    name: str
    candidate: Candidate
    metrics: Mapping[str, float | None]
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    state: RunState = RunState.COMPLETE
    seconds: float = 0.0


class Tracker(Protocol):
    """Keeps the record of one turn at a time. Called from one thread, in the order below.

    Every method may raise StorageError, and nothing else of its own: a tracker that cannot write
    stops the turn, because a turn without its record is not worth its money.
    """

    def start_turn(self, info: TurnInfo) -> str:
        """Opens a turn, or opens it again where the id is known. Returns the turn's run id."""
        ...

    def log_candidate(
        self,
        record: RunRecord,
        rows: Evaluation | None = None,
        examples: Sequence[Example] = (),
    ) -> str:
        """Logs one candidate as a run of its own, and returns the run's id.

        Idempotent by (turn, kind, name): in a resumed turn a run that was completed is returned
        unchanged, one that was cut short is completed.

        Args:
            record: the run.
            rows: where given, becomes a table that can be read row by row.
            examples: the examples of ``rows``; adds their inputs and labels to the table.
        """
        ...

    def log_series(self, name: str, values: Sequence[float | None]) -> None:
        """Logs a curve on the turn's run, one value per step (the best dev score by trial)."""
        ...

    def log_files(self, files: Mapping[str, bytes]) -> None:
        """Puts files on the turn's run: figures, the catalogue, the HTML report."""
        ...

    def finish_turn(
        self,
        decision: str,
        status: TurnStatus,
        *,
        verdict: str = "",
        metrics: Mapping[str, float | None] | None = None,
    ) -> None:
        """Closes the turn.

        Args:
            decision: markdown, shown as the description of the turn and of its challenger.
            status: how the turn ended.
            verdict: PROMOTE, HOLD, INCONCLUSIVE, or "" where no gate was reached.
            metrics: the turn's own numbers, so that nights compare on one chart.
        """
        ...

    def links(self) -> dict[str, str]:
        """Returns label -> URL of the pages worth opening for this turn."""
        ...
