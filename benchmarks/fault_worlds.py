"""The worlds of the fault benchmark: a scripted project, a model with faults, and the truth."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dspy.lm15 import Message, Response, ServerError, TimeoutError, TransportError
from dspy.lm15 import Request as Ask

from tests.pipeline.conftest import CONFIG, PROGRAM, Project, answer, events
from tests.unit.lm.virtual import JumpClock
from upturn.events import Feedback, Request, write_log
from upturn.lm.connect import connect_engine
from upturn.lm.steady import SteadyEngine
from upturn.pipeline.seams import World
from upturn.programs import Program
from upturn.records import Candidate
from upturn.testing.engine import FakeEngine
from upturn.tracking import RunKind

FAILURES = (ServerError, TimeoutError, TransportError)


@dataclass
class Flaky:
    """A model that fails in a share of its attempts, the same ones in every run of a seed.

    Attributes:
        share: of attempts that fail.
        seed: of the luck.
        say: request -> answer.
        calls: attempts that arrived.
    """

    share: float
    seed: int
    say: Callable[[Any], str] = answer
    calls: int = 0
    _attempts: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _inner: FakeEngine = field(init=False)

    def __post_init__(self) -> None:
        self._inner = FakeEngine(self.say)

    def complete(self, request: Any) -> Response:
        key = str(hash_of([request.system, *[m.text for m in request.messages]]))
        with self._lock:
            self.calls += 1
            attempt = self._attempts[key] = self._attempts.get(key, 0) + 1
        luck = hash_of([self.seed, key, attempt])
        if luck < self.share:
            raise FAILURES[int(luck * 1e6) % len(FAILURES)]("lost")
        return self._inner.complete(request)

    async def acomplete(self, request: Any) -> Response:
        return self.complete(request)

    def close(self) -> None:
        """Nothing is open."""


def hash_of(value: Any) -> float:
    """A number in [0, 1) made of a value."""
    return int(hashlib.sha256(repr(value).encode()).hexdigest()[:12], 16) / 16**12


def deaf(request: Any) -> str:
    """A model that no prompt helps: it tosses a coin that belongs to message and prompt."""
    if "[[ ## message ## ]]" not in request.messages[-1].text:
        return "ok"
    luck = hash_of([request.system, *[m.text for m in request.messages]])
    team = ("billing", "technical", "returns")[int(3 * luck)]
    return f"[[ ## team ## ]]\n{team}\n\n[[ ## completed ## ]]\n"


def make_project(root: Path, *, seed: int, rows: int = 330) -> Project:
    """Writes a project with a log of its own into a folder."""
    for name, text in (("programs/triage.py", PROGRAM), ("configs/tickets.yaml", CONFIG)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    write_log(root / "log.jsonl", events(rows, seed))
    return Project(root=root)


def steady_world(project: Project, engine: Flaky) -> World:
    """The project's world with the product's own retries, limits and breaker before the engine."""

    def connect(parts: Any, cache: Any, meter: Any) -> Any:
        steady = SteadyEngine(engine, parts.model, clock=JumpClock())
        return connect_engine(steady, model_id="fake@1", cache=cache, meter=meter, spec=parts.model)

    return replace(project.world(), connect=connect)


def true_score(project: Project, candidate: Candidate, say: Callable[[Any], str]) -> float:
    """What a candidate scores on 600 requests that no turn has seen."""
    program = Program("programs/triage.py:TicketTriage", project.root)
    fresh = events(600, seed=424_242)
    asked = {e.id: e.inputs["message"] for e in fresh if isinstance(e, Request)}
    wanted = {e.request_id: e.value["team"] for e in fresh if isinstance(e, Feedback)}
    right = [_team(say(_request(program, candidate, asked[i]))) == wanted[i] for i in asked]
    return sum(right) / len(right)


def _request(program: Program, candidate: Candidate, message: str) -> Ask:
    first, *rest = program.messages(candidate, {"message": message})
    make = {"user": Message.user, "assistant": Message.assistant}
    turns = tuple(make[m["role"]](m["content"]) for m in rest)
    return Ask(model="m", system=first["content"], messages=turns)


def _team(text: str) -> str:
    return text.split("]]\n")[1].split("\n")[0]


def trials_of(project: Project) -> list[list[Any]]:
    """Name, candidate, rows, estimate and reason of every trial that was recorded."""
    return [
        [
            r.record.name,
            r.record.candidate.id,
            r.record.metrics.get("dev/rows"),
            r.record.metrics.get("dev/estimate"),
            r.record.tags.get("reason"),
        ]
        for r in project.tracker.turn.runs.values()
        if r.record.kind is RunKind.TRIAL
    ]
