"""Stores for tests: in memory, slow, away, or choking on one event."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from upturn.errors import DataError, StorageError
from upturn.events import Event, Feedback, Request
from upturn.store import Conflict


@dataclass(frozen=True)
class Added:
    conflicts: tuple[Conflict, ...] = ()


@dataclass
class MemoryStore:
    """Keeps events by kind and id; ``poison`` ids raise, and so does everything while ``away``.

    ``gate`` holds whoever writes until it is set, and ``entered`` says that somebody is held; so
    does a file, ``until_there``, for a store in another process.
    """

    away: bool = False
    poison: frozenset[str] = frozenset()
    invalid: frozenset[str] = frozenset()
    rows: dict[tuple[str, str], Event] = field(default_factory=dict)
    groups: list[list[str]] = field(default_factory=list)
    gate: threading.Event | None = None
    entered: threading.Event = field(default_factory=threading.Event)
    until_there: Path | None = None

    def add(self, events: Sequence[Event]) -> Added:
        self.entered.set()
        if self.gate is not None:
            assert self.gate.wait(120)
        while self.until_there is not None and not self.until_there.exists():
            time.sleep(0.01)
        self.groups.append([e.id for e in events])
        if self.away:
            raise StorageError("the database must answer, it is away")
        if self.poison & {e.id for e in events}:
            raise RuntimeError("a database error that quotes 4111-secret-value")
        if self.invalid & {e.id for e in events}:
            raise DataError("a text must have no such character")
        conflicts: list[Conflict] = []
        for event in events:
            kind = type(event).__name__.lower()
            if self.rows.setdefault((kind, event.id), event) != event:
                conflicts.append(Conflict(kind=kind, id=event.id, reason="outputs differ"))
        return Added(tuple(conflicts))

    def request(self, request_id: str) -> Request | None:
        if self.away:
            raise StorageError("the database must answer, it is away")
        found = self.rows.get(("request", request_id))
        return found if isinstance(found, Request) else None

    @property
    def ids(self) -> set[str]:
        return {id_ for _, id_ in self.rows}

    def feedback(self, id_: str) -> Feedback:
        found = self.rows["feedback", id_]
        assert isinstance(found, Feedback)
        return found
