"""A scripted world in which things go wrong, and what every turn in it must keep."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.pipeline.conftest import Project, answer
from upturn.ledger import EntryKind, Ledger
from upturn.pipeline.result import TurnResult
from upturn.pipeline.turn import run_turn
from upturn.testing.engine import FakeEngine

#: A turn of about a second that still finds the better program.
SMALL = ("search.evaluations=240", "search.n_trials=10")


def request_key(request: Any) -> str:
    """All that the model sees of a request, as one short text."""
    seen = [request.system, *[(m.role, m.text) for m in request.messages]]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]


def share(key: str, salt: str = "") -> float:
    """A number in [0, 1) that belongs to a request: the same in every run, whatever the threads."""
    return int(hashlib.sha256(f"{salt}{key}".encode()).hexdigest()[:8], 16) / 16**8


@dataclass
class Faulty:
    """The scripted model with faults; remembers what it was paid for.

    Attributes:
        fail: (request key, attempt at it, answers given so far) -> the error to raise, or None.
        say: (request, its key) -> the answer.
        paid: request key -> answers given; the probe is not among them.
    """

    fail: Callable[[str, int, int], BaseException | None] = lambda key, attempt, answered: None
    say: Callable[[Any, str], str] = lambda request, key: answer(request)
    paid: Counter[str] = field(default_factory=Counter)
    _attempts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def engine(self) -> FakeEngine:
        return FakeEngine(self._answer)

    def _answer(self, request: Any) -> str:
        if "[[ ##" not in request.messages[-1].text:
            return "ok"  # the probe
        key = request_key(request)
        with self._lock:
            self._attempts[key] += 1
            error = self.fail(key, self._attempts[key], self.paid.total())
            if error is None:
                self.paid[key] += 1
        if error is not None:
            raise error
        return self.say(request, key)

    @property
    def paid_twice(self) -> list[str]:
        """Requests that were answered more than once, although every answer is kept."""
        return [key for key, n in self.paid.items() if n > 1]


def run(project: Project, *overrides: str) -> TurnResult:
    """Runs a small turn."""
    return run_turn(project.parts(*SMALL, *overrides), project.world())


def entries(project: Project) -> list[EntryKind]:
    """Kinds of the ledger's entries, in order."""
    ledger = Ledger(project.root / "mlruns" / "ledger.jsonl", clock=lambda: None)
    return [e.kind for e in ledger.entries("tickets")]


def champion(project: Project) -> str:
    """The champion's version, or "" before the first adoption."""
    found = project.registry.champion("tickets")
    return found.version if found else ""


def forget_everything(project: Project) -> None:
    """A fresh workspace, tracker and registry for the same project."""
    for path in sorted((project.root / "mlruns").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    project.tracker, project.registry = type(project.tracker)(), type(project.registry)()
