"""Everything a report says about one turn."""

from __future__ import annotations

from dataclasses import dataclass

from upturn.gate.report import GateReport
from upturn.records import Candidate
from upturn.report.quote import Spent


@dataclass(frozen=True, kw_only=True)
class TurnCost:
    """What a turn took.

    Attributes:
        calls: model calls that the turn needed.
        cached_calls: how many of them had been paid before.
        cost_usd: what was paid now.
        seconds: wall time.
    """

    calls: int
    cached_calls: int
    cost_usd: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TurnReport:
    """One turn, for its readers.

    Attributes:
        program, turn, model_id, snapshot_id: what ran, on what.
        gate: the decision, or None where the turn ended before the gate; ``stopped`` says why.
        champion: the running champion; challenger: the search's best, None where nothing was found.
        version: the version registered by this turn, or "".
        promoted: the alias was moved to ``version``.
        trials: candidates tried; pruned: how many were stopped early; finalists: re-scored on
            fresh dev rows.
        train_rows, dev_rows: rows the search could see.
        cost: what it took.
        next_steps: commands to type next, the most useful first.
        stopped: why the turn ended before the gate.
        spent: what was quoted before the turn, and what it came to.
        weights: the adapters of both sides and what is not known of them, in sentences.
    """

    program: str
    turn: str
    model_id: str
    snapshot_id: str
    gate: GateReport | None
    champion: Candidate
    challenger: Candidate | None
    version: str = ""
    promoted: bool = False
    trials: int = 0
    pruned: int = 0
    finalists: int = 0
    train_rows: int = 0
    dev_rows: int = 0
    cost: TurnCost
    next_steps: tuple[str, ...] = ()
    stopped: str = ""
    spent: tuple[Spent, ...] = ()
    weights: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        return str(self.gate.verdict) if self.gate else "NO DECISION"
