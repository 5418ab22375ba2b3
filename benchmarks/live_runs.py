"""One optimizer on one task with one seed: what ``benchmarks.live`` repeats."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from dspy.lm15 import Request, Response

from benchmarks.tasks import Task
from upturn.config.search import SearchSection
from upturn.evaluate import Evaluator
from upturn.lm import Answer, AnswerCache, Meter, ModelSpec
from upturn.lm.connect import Connection, connect_engine, locate
from upturn.lm.engine import AnswerEngine
from upturn.lm.local import LocalEngine
from upturn.peers import PEERS, Ground, PeerRules
from upturn.peers.observe import observe
from upturn.pipeline.dev import split_dev
from upturn.pipeline.explore import Exploration, Listeners
from upturn.pipeline.progress import Silent
from upturn.pipeline.proposing import Proposing
from upturn.records import Candidate, Example

#: Answers of the three tasks are labels of at most a few tokens.
SPEC = ModelSpec(model="upturn-mini", max_tokens=32)

Budget = Literal["light", "medium", "heavy"]
#: Name in the tables -> DSPy's optimizer and its budget.
OTHERS: dict[str, tuple[str, Budget]] = {
    "mipro-light": ("mipro", "light"),
    "mipro-medium": ("mipro", "medium"),
    "gepa-light": ("gepa", "light"),
    "bootstrap-random-search": ("bootstrap_random_search", "light"),
}
UPTURN = "upturn"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Rows of one draw, and what everybody is allowed.

    Attributes:
        train, dev: rows; Upturn keeps a share of dev for its finalists, the others take it whole.
        test: rows that nobody sees, at most.
        max_demos: demos in a prompt, for everybody.
        evaluations: rows that Upturn's search may run, finalists included.
    """

    train: int = 200
    dev: int = 300
    test: int = 370
    max_demos: int = 12
    evaluations: int = 200


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A task's rows, drawn with one seed."""

    task: Task
    seed: int
    train: list[Example]
    dev: list[Example]
    test: list[Example]

    @classmethod
    def of(cls, task: Task, seed: int, sizes: Sizes, data: Path) -> Draw:
        rows = task.rows(data, seed=seed)
        dev = sizes.train + sizes.dev
        return cls(
            task=task,
            seed=seed,
            train=rows[: sizes.train],
            dev=rows[sizes.train : dev],
            test=rows[dev : dev + sizes.test],
        )


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What an optimizer gives back, the score that it reports of it, and why it ended early."""

    candidate: Candidate
    reported: float | None
    stopped: str = ""


class _Remembered:
    """The answers that one run has asked for: each distinct request counts once, as if paid."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}

    def get(self, key: str) -> Answer | None:
        return self._answers.get(key)

    def put(self, key: str, answer: Answer) -> None:
        self._answers.setdefault(key, answer)


class _Borrowed:
    """An engine that several connections share; whoever made it closes it."""

    def __init__(self, engine: AnswerEngine) -> None:
        self._engine = engine

    def complete(self, request: Request) -> Response:
        return self._engine.complete(request)

    async def acomplete(self, request: Request) -> Response:
        return await self._engine.acomplete(request)

    def close(self) -> None:
        """Nothing is ours to close."""


class Model:
    """The embedded model, loaded once, with the answers of all runs on disk.

    Args:
        answers: file of the answers. Nobody profits from it: calls are counted before it.
    """

    def __init__(self, answers: Path) -> None:
        folder, self.id = locate(SPEC)
        answers.parent.mkdir(parents=True, exist_ok=True)
        self._store = AnswerCache(answers)
        self._engine = LocalEngine(folder, model_id=self.id)
        kept = AnswerEngine(self._engine, model_id=self.id, cache=self._store, meter=Meter())
        self._kept = _Borrowed(kept)

    @contextmanager
    def counted(self) -> Generator[tuple[Connection, Meter]]:
        """A connection whose meter counts the distinct requests of one run."""
        meter = Meter()
        with connect_engine(
            self._kept, model_id=self.id, cache=_Remembered(), meter=meter, spec=SPEC
        ) as connection:
            yield connection, meter

    def close(self) -> None:
        self._engine.close()
        self._store.close()


def run(name: str, draw: Draw, model: Model, sizes: Sizes) -> dict[str, object]:
    """Runs one optimizer, then its choice on the test rows; returns a row of the table."""
    began = time.perf_counter()
    with model.counted() as (connection, meter):
        ground = Ground(
            program=draw.task.load(),
            start=draw.task.load().seed,
            train=draw.train,
            searched=draw.dev,
            connection=connection,
            strong=None,
            meter=meter,
            metric=draw.task.metric,
        )
        with _evaluator(ground) as evaluator:
            other = OTHERS.get(name)
            choice = (
                run_upturn(ground, evaluator, draw.seed, sizes)
                if other is None
                else run_other(ground, *other, draw.seed, sizes)
            )
            calls, seconds = meter.totals().calls, time.perf_counter() - began
            final, start = evaluator.evaluate_all(
                [(c, draw.test) for c in (choice.candidate, ground.start)]
            )
    return {
        "task": draw.task.name,
        "seed": draw.seed,
        "optimizer": name,
        "calls": calls,
        "final": final.score,
        "start": start.score,
        "reported": choice.reported,
        "test_rows": len(draw.test),
        "stopped": choice.stopped,
        "seconds": seconds,
        "candidate": choice.candidate.id,
    }


def _evaluator(ground: Ground) -> Evaluator:
    return Evaluator(ground.program, ground.metric, ground.connection, ground.meter)


def run_other(ground: Ground, name: str, budget: Budget, seed: int, sizes: Sizes) -> Choice:
    """One of DSPy's optimizers; what it chose itself is what counts."""
    rules = PeerRules(auto=budget, max_demos=sizes.max_demos, seed=seed)
    seen = observe(PEERS[name], ground, rules=rules)
    candidate = ground.start if seen.choice is None else seen.choice
    return Choice(candidate=candidate, reported=seen.claimed, stopped=seen.stopped)


def run_upturn(ground: Ground, evaluator: Evaluator, seed: int, sizes: Sizes) -> Choice:
    """The product's own search as a turn runs it, within ``sizes.evaluations`` rows."""
    section = SearchSection(evaluations=sizes.evaluations, max_demos=sizes.max_demos)
    dev = split_dev(ground.searched, section.fresh, seed)
    with TemporaryDirectory() as folder:
        exploration = Exploration(
            start=ground.start,
            dev=dev,
            runner=evaluator,
            proposing=Proposing(
                program=ground.program,
                start=ground.start,
                train=ground.train,
                runner=evaluator,
                section=section,
                root=Path(folder),
                seed=seed,
                strong=ground.strong,
                tell=lambda name, sentence: None,
            ),
            section=section,
            seed=seed,
            name=f"live-{seed}",
            journal=Path(folder) / "study.journal",
        )
        listeners = Listeners(
            may_go_on=lambda: "",
            on_trial=lambda trial, catalogue: None,
            on_rows=lambda n: None,
        )
        result = exploration.search(exploration.baseline(), progress=Silent(), listeners=listeners)
    best = result.finalists[0] if result.leads else result.start
    return Choice(candidate=best.candidate, reported=result.reported.score, stopped=result.stopped)
