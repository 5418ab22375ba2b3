"""A whole project in a folder, on a scripted model that answers better with better demos."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from upturn.events import Feedback, Request, Role, Signal, write_log
from upturn.lm.connect import connect_engine
from upturn.pipeline.parts import Parts
from upturn.pipeline.progress import Silent
from upturn.pipeline.seams import World
from upturn.testing.engine import FakeEngine
from upturn.testing.tracker import MemoryRegistry, MemoryTracker

PROGRAM = '''
from typing import Literal

import dspy


class Triage(dspy.Signature):
    """Route the message."""

    message: str = dspy.InputField()
    team: Literal["billing", "technical", "returns"] = dspy.OutputField()


class TicketTriage(dspy.Module):
    def __init__(self):
        super().__init__()
        self.triage = dspy.Predict(Triage)

    def forward(self, message):
        return self.triage(message=message)


def metric(example, prediction, trace=None):
    return {"score": example.team == prediction.team, "length": min(1, len(example.message) / 100)}
'''

CONFIG = """
name: tickets
program: programs/triage.py:TicketTriage
metric: programs/triage.py:metric
data:
  kind: feedback_log
  paths: [log.jsonl]
  now: "2026-10-01T00:00:00+00:00"
model: {name: fake, concurrency: 4}
search:
  n_trials: 8
  max_demos: 6
  evaluations: 500
gate: {min_gain: 0.1}
"""

CUES = {
    "billing": ["invoice", "refund", "charged"],
    "technical": ["crash", "login", "slow"],
    "returns": ["return", "broken", "exchange"],
}
START = datetime(2026, 8, 1, tzinfo=UTC)
NOW = datetime(2026, 10, 1, tzinfo=UTC)


def events(n: int = 330, seed: int = 0) -> list[Request | Feedback]:
    """A small production log: the champion is wrong about half the time and agents correct it."""
    rng = random.Random(seed)
    out: list[Request | Feedback] = []
    for i in range(n):
        team = rng.choice(sorted(CUES))
        cue = rng.choice(CUES[team])
        filler = " ".join(
            rng.choices(
                ["my", "the", "order", "app", "today", "please", "again", "why", "it", "so", "was"],
                k=5,
            )
        )
        message = f"{filler} {cue} {rng.randrange(10_000)} {rng.randrange(10_000)}"
        guess = team if rng.random() < 0.5 else "billing"
        time = START + timedelta(hours=3 * i)
        request = Request(
            id=f"req-{i:04d}",
            time=time.isoformat(),
            program="tickets",
            inputs={"message": message},
            outputs={"team": guess},
            user=f"cust-{i // 3:03d}",
        )
        said = Feedback(
            id=f"fb-{i:04d}",
            request_id=request.id,
            time=(time + timedelta(hours=5)).isoformat(),
            signal=Signal.CORRECTION,
            value={"team": team},
            rater=f"agent-{i % 4}",
            role=Role.AGENT,
        )
        out += [request, said]
    return out


def answer(request) -> str:
    """Knows a cue only when the prompt shows it beside a team: demos and definitions help."""
    if "[[ ## message ## ]]" not in request.messages[-1].text:
        return "ok"  # the probe
    turns = [(m.role, m.text) for m in request.messages]
    message = turns[-1][1].split("[[ ## message ## ]]\n")[1].split("\n\n")[0]
    cue = next(c for cues in CUES.values() for c in cues if re.search(rf"\b{c}\b", message))
    for (_, shown), (_, given) in zip(turns[:-1:2], turns[1:-1:2], strict=True):
        if re.search(rf"\b{cue}\b", shown):
            return given
    team = next(
        (t for t in CUES if re.search(rf"\n *{t}: [^\n]*\b{cue}\b", request.system)), "billing"
    )
    return f"[[ ## team ## ]]\n{team}\n\n[[ ## completed ## ]]\n"


@dataclass
class Project:
    """A project with its outside; ``engine`` may be replaced between turns."""

    root: Path
    engine: FakeEngine = field(default_factory=lambda: FakeEngine(answer))
    tracker: MemoryTracker = field(default_factory=MemoryTracker)
    registry: MemoryRegistry = field(default_factory=MemoryRegistry)
    model_id: str = "fake@1"

    @property
    def config(self) -> Path:
        return self.root / "configs" / "tickets.yaml"

    def parts(self, *overrides: str) -> Parts:
        return Parts.load(self.config, list(overrides))

    def world(self) -> World:
        @contextmanager
        def store(parts):
            yield self.tracker, self.registry

        def connect(parts, cache, meter):
            return connect_engine(
                self.engine, model_id=self.model_id, cache=cache, meter=meter, spec=parts.model
            )

        return World(
            identify=lambda parts: self.model_id,
            connect=connect,
            store=store,
            clock=lambda: NOW,
            progress=Silent(),
            who="tester",
        )


@pytest.fixture
def make_project(tmp_path) -> Callable[..., Project]:
    def make(log=None, program: str = PROGRAM, config: str = CONFIG) -> Project:
        (tmp_path / "programs").mkdir()
        (tmp_path / "configs").mkdir()
        (tmp_path / "programs" / "triage.py").write_text(program)
        (tmp_path / "configs" / "tickets.yaml").write_text(config)
        write_log(tmp_path / "log.jsonl", events() if log is None else log)
        return Project(root=tmp_path)

    return make


@pytest.fixture
def project(make_project) -> Project:
    return make_project()
