"""Releases of a program with three versions, on a registry that may be killed or lie."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from upturn.ledger import EntryKind, Ledger
from upturn.pipeline.releases.moves import Standing, champion_of, moves_of, standing
from upturn.pipeline.releases.release import Releases
from upturn.records import Candidate, PromptState, Verdict
from upturn.registry import Registry

PROGRAM = "triage"
#: The steps that change something, in no particular order.
STEPS = (
    *("append_promotion", "append_rollback", "set_champion", "set_staging", "settle"),
    "mark_override",
)


def clock() -> datetime:
    return datetime(2026, 11, 1, tzinfo=UTC)


def candidate(n: int) -> Candidate:
    return Candidate(states={"route": PromptState(instruction=f"Route, {n}.")})


def open_releases(folder: Path, registry: Registry, **more: Any) -> Releases:
    return Releases(registry, Ledger(folder / "ledger.jsonl", clock=clock), PROGRAM, **more)


def decide(releases: Releases, n: int, *, champion: str, verdict: str = "PROMOTE") -> str:
    """Registers what a turn found, as a run does: look, decision, version."""
    turn, report = f"t{n}", {"verdict": verdict, "effect": 0.1, "challenger_score": 0.8, "n": 90}
    ledger = releases.ledger
    ledger.open_look(f"h{n}", turn=turn, program=PROGRAM, alpha=lambda number, spent: 0.025)
    ledger.append_decision(program=PROGRAM, turn=turn, verdict=Verdict(verdict), report=report)
    return releases.registry.register(
        candidate(n),
        program=PROGRAM,
        turn=turn,
        report_json=report,
        files={"program.json": b"{}", "decision.md": b"## PROMOTE"},
        facts={"champion": champion} if champion else {},
    )


def adopted(releases: Releases) -> Releases:
    """Version 1 is the champion, and version 2 was found better."""
    releases.adopt(candidate(1), "{}", who="ann")
    decide(releases, 2, champion="1")
    return releases


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


class Dying:
    """Passes everything on, and dies before or after one step that changes something."""

    def __init__(self, inner: Any, die: Callable[[str, str], None]) -> None:
        self._inner = inner
        self._die = die

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in STEPS:
            return found

        def step(*args: Any, **values: Any) -> Any:
            self._die(name, "before")
            made = found(*args, **values)
            self._die(name, "after")
            return made

        return step


def dying_at(releases: Releases, n: int, die: Callable[[], None]) -> Releases:
    """The same releases, which die at the n-th place between or around their steps."""
    seen: list[str] = []

    def at(name: str, when: str) -> None:
        seen.append(name)
        if len(seen) == n:
            die()

    ledger: Any = Dying(releases.ledger, at)
    registry: Any = Dying(releases.registry, at)
    return Releases(registry, ledger, releases.program)


def consistent(releases: Releases) -> str:
    """Asserts that ledger, registry and files say the same. Returns the champion."""
    releases.settle()
    releases.ledger.verify()
    moves = moves_of(releases.ledger.entries(PROGRAM))
    named = releases.registry.aliases(PROGRAM)
    assert standing(moves, named) is Standing.SETTLED
    assert named.champion == champion_of(moves)
    assert named.settled == moves[-1].hash
    loaded = releases.registry.champion(PROGRAM)
    assert loaded is not None
    assert loaded.version == named.champion
    for before, after in pairwise(moves):
        assert after.data["previous"] == before.data["version"]
    overrides = {m.data["version"] for m in moves if m.data.get("override")}
    marked = {v.version for v in releases.registry.versions(PROGRAM) if v.override}
    assert marked == overrides
    if moves[-1].kind is EntryKind.PROMOTION:
        assert named.staging == ""
    return named.champion
