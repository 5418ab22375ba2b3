"""What is left of each holdout's error budget, as the ledger has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from upturn.gate import Remaining, exposure, remaining
from upturn.ledger import Entry, EntryKind, head_of
from upturn.ledger.looks import past_looks
from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class HoldoutBudget:
    """One holdout.

    Attributes:
        holdout: its sha256.
        programs: those that looked at it.
        left: looks and error, used and left; see ``gate.remaining``.
        first, last: times of the first and the last look.
        fresh_rows_by: when the last look that is left will be used up, at the pace of the looks so
            far; the time of the last look where none is left, "" where there is no pace yet.
    """

    holdout: str
    programs: tuple[str, ...]
    left: Remaining
    first: str
    last: str
    fresh_rows_by: str

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "sentence": self.left.sentence}


@dataclass(frozen=True, kw_only=True)
class LedgerState:
    """A ledger at a glance.

    Attributes:
        entries, head, signed: how many lines, ``number:hash`` of the last, how many are signed.
        holdouts: every holdout that was looked at, the latest last.
        promotions, overrides: moves; an override is a promotion without the gate's word.
    """

    entries: int
    head: str
    signed: int
    holdouts: tuple[HoldoutBudget, ...]
    promotions: int
    overrides: int

    def to_json(self) -> dict[str, Json]:
        return {**vars(self), "holdouts": [h.to_json() for h in self.holdouts]}


def ledger_state(entries: Sequence[Entry], program: str | None = None) -> LedgerState:
    """Returns what a ledger says, for all programs or for one.

    Looks are counted over all programs, whichever one is asked for: they saw the same rows.

    Args:
        entries: all of the ledger's.
        program: only holdouts that this program looked at, and its moves.
    """
    looks = [e for e in entries if e.kind is EntryKind.LOOK]
    own = [e for e in entries if program is None or e.program == program]
    asked = {str(e.data["holdout"]): None for e in own if e.kind is EntryKind.LOOK}
    return LedgerState(
        entries=len(entries),
        head=head_of(entries[-1] if entries else None),
        signed=sum(bool(e.signature) for e in entries),
        holdouts=tuple(_budget(h, looks, entries) for h in asked),
        promotions=sum(e.kind is EntryKind.PROMOTION for e in own),
        overrides=sum(e.data.get("override") is True for e in own),
    )


def _budget(holdout: str, looks: Sequence[Entry], entries: Sequence[Entry]) -> HoldoutBudget:
    own = [e for e in looks if e.data["holdout"] == holdout]
    past = past_looks([e.data for e in looks])
    sketch = next((p.sketch for p in past if p.holdout == holdout and p.sketch), ())
    seen = exposure(holdout, sketch, past)
    decided = [
        e.data
        for e in entries
        if e.kind is EntryKind.DECISION and e.inputs.get("holdout") == holdout and "alpha" in e.data
    ]
    left = remaining(
        _alpha(own[0], decided), looks=seen.looks, spent=seen.spent, rows=_rows(decided)
    )
    return HoldoutBudget(
        holdout=holdout,
        programs=tuple(sorted({e.program for e in own})),
        left=left,
        first=own[0].time,
        last=own[-1].time,
        fresh_rows_by=_runs_out(own, left.looks_left),
    )


def _alpha(first: Entry, decided: Sequence[Mapping[str, Json]]) -> float:
    """The budget as the last decision states it; else what the first look's share comes from."""
    if decided:
        return float(decided[-1]["alpha"]["of"])
    return float(first.data["alpha"]) * 2.0 ** int(first.data["number"])


def _rows(decided: Sequence[Mapping[str, Json]]) -> int | None:
    """The holdout's rows, of which a design in stages may have run a part."""
    if not decided:
        return None
    report = decided[-1]["report"]
    staged = report.get("staged")
    return int(staged["rows_planned"] if staged else report["rows"])


def _runs_out(looks: Sequence[Entry], left: int) -> str:
    if not left:
        return looks[-1].time
    times = [datetime.fromisoformat(e.time) for e in looks]
    apart = (times[-1] - times[0]) / max(len(times) - 1, 1)
    return (times[-1] + apart * left).isoformat() if apart > timedelta(0) else ""
