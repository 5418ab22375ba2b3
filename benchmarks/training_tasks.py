"""Prompts, weights, and both, on real messages: what each reaches on rows that nobody has seen."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import NormalDist, fmean, stdev
from typing import Any, Literal

from transformers import AutoTokenizer

from benchmarks.live_runs import SPEC, Sizes, run_upturn
from benchmarks.tasks import Task
from benchmarks.training_program import INTENTS
from upturn.evaluate import Evaluator
from upturn.finetune.encode import RowEncoder, encode_rows, end_tokens
from upturn.finetune.folder import JobFolder
from upturn.finetune.launch import LocalLauncher
from upturn.finetune.records import Event, WorkOrder
from upturn.finetune.rows import material
from upturn.finetune.runner import Runner
from upturn.finetune.spec import EvaluationSpec, JobSpec, LoraSpec, OptimSpec
from upturn.lm import AnswerCache, Meter
from upturn.lm.connect import Connection, connect, locate
from upturn.peers import Ground
from upturn.programs import Program
from upturn.records import Candidate, Evaluation, Example
from upturn.weights.adapter import Adapter, store

ROOT = Path(__file__).parent
PROGRAM, METRIC = "training_program.py:IntentProgram", "training_program.py:metric"
Way = Literal["as written", "prompt only", "weights only", "both"]
WAYS: tuple[Way, ...] = ("as written", "prompt only", "weights only", "both")
_CONFIDENCE = 0.95


class IntentTask(Task):
    """Twelve intents; the program is in a file of its own."""

    def load(self) -> Program:
        return Program(PROGRAM, ROOT)


TASK = IntentTask(
    name="intents12", program="IntentProgram", field="intent", labels={i: i for i in INTENTS}
)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one seed may use.

    Attributes:
        train, dev, test: rows.
        evaluations: rows that the search may run.
        max_demos: in a prompt.
        epochs: over the train rows; ``max_steps`` wins where it is set.
        max_steps, max_steps_both: optimizer steps of the two jobs; None for ``epochs``.
        eval_rows: dev rows of an evaluation in training; 0 trains to the end without one.
    """

    train: int = 500
    dev: int = 300
    test: int = 600
    evaluations: int = 400
    max_demos: int = 6
    epochs: float = 3.0
    max_steps: int | None = None
    max_steps_both: int | None = None
    eval_rows: int = 100


#: One seed in about a minute and a half on two cores.
QUICK = Budget(
    train=240,
    dev=150,
    test=200,
    evaluations=150,
    max_demos=3,
    max_steps=24,
    max_steps_both=12,
    eval_rows=0,
)


class _Deaf:
    def event(self, event: Event) -> None:
        """Lets it pass."""


@dataclass(frozen=True, kw_only=True)
class Lab:
    """The model, the rows of one seed, and a folder for what is trained."""

    seed: int
    budget: Budget
    program: Program
    train: Sequence[Example]
    dev: Sequence[Example]
    test: Sequence[Example]
    connection: Connection
    meter: Meter
    folder: Path

    @classmethod
    @contextmanager
    def open(cls, seed: int, budget: Budget, *, data: Path, folder: Path) -> Generator[Lab]:
        """Draws the rows and loads the model.

        Raises:
            DataError: the file of rows is not there.
        """
        rows = TASK.rows(data, seed=seed)
        dev, test = budget.train + budget.dev, budget.train + budget.dev + budget.test
        folder.mkdir(parents=True, exist_ok=True)
        cache, meter = AnswerCache(folder / "answers.db"), Meter()
        try:
            with connect(SPEC, cache=cache, meter=meter) as connection:
                yield cls(
                    seed=seed,
                    budget=budget,
                    program=TASK.load(),
                    train=rows[: budget.train],
                    dev=rows[budget.train : dev],
                    test=rows[dev:test],
                    connection=connection,
                    meter=meter,
                    folder=folder,
                )
        finally:
            cache.close()

    def searched(self) -> Candidate:
        """Returns the prompt that the product's own search finds."""
        sizes = Sizes(evaluations=self.budget.evaluations, max_demos=self.budget.max_demos)
        ground = Ground(
            program=self.program,
            start=self.program.seed,
            train=list(self.train),
            searched=list(self.dev),
            connection=self.connection,
            strong=None,
            meter=self.meter,
            metric=TASK.metric,
        )
        with self._evaluator(None) as evaluator:
            return run_upturn(ground, evaluator, self.seed, sizes).candidate

    def trained(self, name: str, candidate: Candidate, max_steps: int | None) -> Adapter:
        """Returns an adapter trained under a prompt, as a job would."""
        base, base_id = locate(SPEC)
        tokenizer = AutoTokenizer.from_pretrained(base)
        encoder = RowEncoder(tokenizer, end_tokens=end_tokens(base, tokenizer))
        text = material("sft", self.program, candidate, self.train)
        spec = self._spec(name, max_steps)
        rows = encode_rows(text, encoder, max_length=spec.optim.max_length).rows
        order = WorkOrder(
            spec=spec,
            base=str(base),
            base_id=base_id,
            root=str(ROOT),
            program=PROGRAM,
            metric=METRIC,
            candidate=candidate.to_json(),
            settings={"temperature": 0.0, "max_tokens": SPEC.max_tokens},
        )
        folder = JobFolder(self.folder / name)
        with folder.locked() as lock:
            folder.write(order, rows, (), self.dev[: self.budget.eval_rows])
            Runner(LocalLauncher(), _Deaf()).run(folder, order, lock=lock)
        return store(folder.final, self.folder / "adapters", base_id=base_id, card={})

    def score(self, candidate: Candidate, adapter: Adapter | None) -> Evaluation:
        """Runs a prompt on the test rows, with an adapter or without one."""
        with self._evaluator(adapter) as evaluator:
            return evaluator.evaluate(candidate, self.test)

    def _evaluator(self, adapter: Adapter | None) -> Evaluator:
        connection = self.connection
        connection = connection if adapter is None else connection.with_weights(adapter)
        return Evaluator(self.program, TASK.metric, connection, self.meter)

    def _spec(self, name: str, max_steps: int | None) -> JobSpec:
        return JobSpec(
            name=name,
            kind="sft",
            seed=self.seed,
            lora=LoraSpec(r=16, lora_alpha=32),
            optim=OptimSpec(
                learning_rate=2e-3, num_train_epochs=self.budget.epochs, max_steps=max_steps
            ),
            evaluation=EvaluationSpec(rows=max(1, self.budget.eval_rows), max_new_tokens=32),
        )


def run_seed(seed: int, budget: Budget, *, data: Path, folder: Path) -> list[dict[str, Any]]:
    """Runs all ways with one seed; returns a row for each, with its right answers."""
    with Lab.open(seed, budget, data=data, folder=folder) as lab:
        seed_prompt, prompt = lab.program.seed, lab.searched()
        alone = lab.trained("weights", seed_prompt, budget.max_steps)
        with_prompt = lab.trained("both", prompt, budget.max_steps_both)
        found: dict[Way, Evaluation] = {
            "as written": lab.score(seed_prompt, None),
            "prompt only": lab.score(prompt, None),
            "weights only": lab.score(seed_prompt, alone),
            "both": lab.score(prompt, with_prompt),
        }
    return [
        {
            "seed": seed,
            "way": way,
            "score": each.score,
            "rows": len(each.rows),
            "right": [int(row.value == 1.0) for row in each.rows],
        }
        for way, each in found.items()
    ]


def table(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One line a way: its score and how far it is from prompt-only, with 95 % intervals.

    Over several seeds they are those of Student's t; with one seed those of its rows (Wilson 1927,
    and for the paired difference the normal one).
    """
    against = {r["seed"]: r for r in rows if r["way"] == "prompt only"}
    return [_line(way, [r for r in rows if r["way"] == way], against) for way in WAYS]


def _line(
    way: str, own: Sequence[Mapping[str, Any]], against: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
    scores = [fmean(r["right"]) for r in own]
    pairs = [(r["right"], against[r["seed"]]["right"]) for r in own]
    if len(own) > 1:
        interval = t_interval(scores)
        gain = t_interval([fmean(a) - fmean(b) for a, b in pairs])
    else:
        interval = wilson(sum(own[0]["right"]), len(own[0]["right"]))
        gain = paired(*pairs[0])
    return {
        "way": way,
        "seeds": len(own),
        "test_rows": own[0]["rows"],
        "score": fmean(scores),
        "low": interval[0],
        "high": interval[1],
        "gain": fmean(fmean(a) - fmean(b) for a, b in pairs),
        "gain_low": gain[0],
        "gain_high": gain[1],
    }


def wilson(right: int, n: int) -> tuple[float, float]:
    """Returns Wilson's interval (1927) for a share."""
    z, share = _z(), right / n
    middle, spread = share + z * z / (2 * n), z * sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)


def paired(ours: Sequence[int], theirs: Sequence[int]) -> tuple[float, float]:
    """Returns the normal interval of the mean difference over the same rows."""
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    half = _z() * stdev(differences) / sqrt(len(differences))
    return fmean(differences) - half, fmean(differences) + half


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Returns Student's interval of a mean of two or more values."""
    from scipy.stats import t

    quantile = float(t.ppf(0.5 + _CONFIDENCE / 2, len(values) - 1))
    half = quantile * stdev(values) / sqrt(len(values))
    return fmean(values) - half, fmean(values) + half


def _z() -> float:
    return NormalDist().inv_cdf(0.5 + _CONFIDENCE / 2)
