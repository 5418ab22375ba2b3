"""Ledgers for tests: old ones, new ones, signed ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from upturn.ledger import Ledger, Signer
from upturn.ledger.entry import GENESIS
from upturn.records import Json, Look, Verdict, canonical_json, content_hash

HOLDOUT = "a" * 64


class Clock:
    """One second later at each call."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def book(path: Path, signer: Signer | None = None) -> Ledger:
    return Ledger(path, clock=Clock(), actor="nightly", signer=lambda: signer)


def look(ledger: Ledger, turn: str, holdout: str = HOLDOUT) -> Look:
    return ledger.open_look(holdout, turn=turn, program="p", alpha=lambda number, spent: 0.001)


def fill(ledger: Ledger, turns: int = 2) -> None:
    """An adoption, then for each turn a look, a decision and a promotion."""
    ledger.append_adoption(program="p", version="1")
    for k in range(1, turns + 1):
        turn, version = f"t{k}", str(k + 1)
        look(ledger, turn)
        ledger.append_decision(
            program="p",
            turn=turn,
            verdict=Verdict.PROMOTE,
            report={"effect": 0.1 / k, "p_value": 1e-07, "reasons": ["Ünicode ≤ 3"], "n": 10},
            inputs={"snapshot": "s" * 64},
        )
        ledger.append_promotion(
            program="p", version=version, previous=str(k), turn=turn, who="ann", reason="gate"
        )


def old_lines(*bodies: tuple[str, str, dict[str, Json]]) -> bytes:
    """Lines as they were written before there were formats: (kind, program, data) each."""
    lines: list[str] = []
    previous, clock = GENESIS, Clock()
    for number, (kind, program, data) in enumerate(bodies, start=1):
        body = {
            "number": number,
            "kind": kind,
            "time": clock().isoformat(),
            "program": program,
            "data": data,
            "previous_hash": previous,
        }
        previous = content_hash(body)
        lines.append(canonical_json({**body, "hash": previous}))
    return "".join(f"{line}\n" for line in lines).encode()
