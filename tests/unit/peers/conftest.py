"""A small task on a scripted model that answers better with better demos."""

from __future__ import annotations

import contextlib
import io
import random
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from upturn.evaluate import Evaluator
from upturn.lm import AnswerCache, Caps, Meter
from upturn.lm.connect import connect_engine
from upturn.metrics import Metric
from upturn.peers import PEERS, Ground, PeerRules, run_peer
from upturn.programs import Program
from upturn.records import Example
from upturn.search import SearchResult
from upturn.testing.engine import FakeEngine

SOURCE = '''
from typing import Literal

import dspy


class Triage(dspy.Signature):
    """Route the message."""

    message: str = dspy.InputField()
    team: Literal["billing", "technical", "returns"] = dspy.OutputField()


class TicketTriage(dspy.Module):
    """Routes; its source is what a prompt model may read."""

    def __init__(self):
        super().__init__()
        self.triage = dspy.Predict(Triage)

    def forward(self, message):
        return self.triage(message=message)
'''
CUES = {
    "billing": ["invoice", "refund", "charged"],
    "technical": ["crash", "login", "slow"],
    "returns": ["return", "broken", "exchange"],
}


def rows(n: int, *, start: int = 0) -> list[Example]:
    """Rows with one cue each, the teams in turn."""
    rng = random.Random(start)
    out = []
    for i in range(start, start + n):
        team = sorted(CUES)[i % 3]
        text = f"number {i} my {rng.choice(CUES[team])} please"
        labels = {"team": team}
        out.append(Example(id=f"e{i:04d}", inputs={"message": text}, labels=labels, group=str(i)))
    return out


def answer(request) -> str:
    """Knows a cue when the prompt shows it beside a team; writes instructions when asked to."""
    last = request.messages[-1].text or ""
    if "`[[ ## team ## ]]`" not in last:
        return proposal(request)
    turns = [(m.role, m.text or "") for m in request.messages]
    message = last.split("[[ ## message ## ]]\n")[1].split("\n\n")[0]
    cue = next(c for cues in CUES.values() for c in cues if re.search(rf"\b{c}\b", message))
    for (_, shown), (_, given) in zip(turns[:-1:2], turns[1:-1:2], strict=True):
        if re.search(rf"\b{cue}\b", shown):
            return given
    knows = "carefully" in str(request.system) and cue in ("refund", "login", "broken")
    team = next(t for t, cues in CUES.items() if cue in cues) if knows else "billing"
    return f"[[ ## team ## ]]\n{team}\n\n[[ ## completed ## ]]\n"


def proposal(request) -> str:
    """Fills every output field that a prompt model is asked for."""
    last = request.messages[-1].text or ""
    if "JSON object" in last or "JSON object" in str(request.system):
        return '{"new_instruction": "Route the message carefully."}'
    fields = re.findall(r"\[\[ ## (\w+) ## \]\]", last.split("Respond with")[-1])
    parts = [f"[[ ## {f} ## ]]\nRoute the message carefully." for f in fields if f != "completed"]
    return "\n\n".join([*parts, "[[ ## completed ## ]]\n"])


def exact(example, prediction) -> float:
    return float(example.team == prediction.team)


@dataclass
class Desk:
    """Everything a peer needs, on one scripted engine; ``open`` may be called again."""

    folder: Path
    engine: FakeEngine = field(default_factory=lambda: FakeEngine(answer))
    metric: Metric = field(default_factory=lambda: Metric(function=exact, name="exact"))
    train: list[Example] = field(default_factory=lambda: rows(24))
    searched: list[Example] = field(default_factory=lambda: rows(15, start=100))
    fresh: list[Example] = field(default_factory=lambda: rows(6, start=200))
    rules: PeerRules = field(default_factory=lambda: PeerRules(max_demos=4, concurrency=4))
    caps: Caps = field(default_factory=Caps)

    @property
    def program(self) -> Program:
        self.folder.mkdir(exist_ok=True)
        path = self.folder / "triage.py"
        if not path.exists():
            path.write_text(SOURCE)
        return Program("triage.py:TicketTriage", self.folder)

    @contextmanager
    def open(self):
        """Yields (ground, evaluator) on a new meter and the folder's answer cache."""
        program = self.program
        cache, meter = AnswerCache(self.folder / "cache.db"), Meter(self.caps)
        connection = connect_engine(self.engine, model_id="fake@1", cache=cache, meter=meter)
        ground = Ground(
            program=program,
            start=program.seed,
            train=self.train,
            searched=self.searched,
            connection=connection,
            strong=None,
            meter=meter,
            metric=self.metric,
        )
        with Evaluator(program, self.metric, connection, meter, concurrency=4) as evaluator:
            yield ground, evaluator
        connection.close()
        cache.close()


@dataclass(frozen=True)
class Finished:
    """One run of a peer: its name, its desk, what it gave back, and what it said and paid."""

    name: str
    desk: Desk
    result: SearchResult
    told: list
    lines: list[str]
    paid: int
    printed: str


def run(desk: Desk, name: str, **kwargs) -> tuple[SearchResult, int]:
    """Runs a peer on a desk; returns the result and the calls that were paid for."""
    with desk.open() as (ground, evaluator):
        result = run_peer(
            PEERS[name], ground, fresh=desk.fresh, evaluator=evaluator, rules=desk.rules, **kwargs
        )
        return result, ground.meter.totals().calls


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(folder=tmp_path)


@pytest.fixture(scope="package", params=sorted(PEERS))
def finished(request, tmp_path_factory) -> Finished:
    """Each peer, run once for all tests that only look at what it left."""
    name = request.param
    desk = Desk(folder=tmp_path_factory.mktemp(name))
    if name == "simba":
        desk.train = rows(9)  # its batches are as long as train: fewer rows, fewer calls
    told, lines, printed = [], [], io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        result, paid = run(desk, name, on_trial=told.append, log=lines.append)
    return Finished(name, desk, result, told, lines, paid, printed.getvalue())
