"""Evaluation of the model in training: generated answers, the program's own metric, and pairs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from upturn.errors import UpturnError
from upturn.evaluate import Evaluator
from upturn.finetune.worker.engine import TrainingEngine, Unkept, at_rest
from upturn.finetune.worker.inputs import Task
from upturn.finetune.worker.pairs import PairScorer
from upturn.finetune.worker.rng import untouched
from upturn.finetune.worker.standing import Measured
from upturn.lm import Meter, ModelSpec
from upturn.lm.connect import connect_engine
from upturn.programs import Program, load_metric
from upturn.records import Candidate, Evaluation, FailureKind, Outcome


class InterruptedEvaluation(Exception):  # noqa: N818 - nothing went wrong
    """Somebody asked the training to stop while rows were being answered."""


class Evaluations:
    """Evaluates the trainer's model on the task's dev rows and pairs; changes nothing in training.

    Args:
        task: dev rows, pairs, program and metric.
        trainer: whose model it is.
        stopped: whether the training is being stopped; rows that are left get no answers then.
        progress: called whenever rows are done.

    Raises:
        ProgramError: program or metric does not load, or the candidate does not fit.
        MetricError: the metric is none.
    """

    def __init__(
        self,
        task: Task,
        trainer: Any,
        *,
        stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._task, self._trainer = task, trainer
        self._stopped, self._progress = stopped, progress
        work = task.work
        self._candidate = Candidate.from_json(work.candidate)
        if task.dev:
            self._program = Program(work.program, Path(work.root))
            self._program.assemble(self._candidate)
            self._metric = load_metric(work.metric, Path(work.root))
        self._pairs = PairScorer(
            trainer,
            task.pairs,
            beta=work.spec.preference.beta,
            batch=max(1, trainer.args.per_device_train_batch_size),
            progress=progress,
        )

    @property
    def any(self) -> bool:
        """Whether there is anything to evaluate on."""
        return bool(self._task.dev or self._task.pairs)

    def measure(self, step: int) -> Measured:
        """Evaluates now.

        Raises:
            MetricError: the metric raised, or returned what is no score.
            InterruptedEvaluation: the training is being stopped.
            UpturnError: the program cannot run.
        """
        start = time.monotonic()
        values: dict[str, Any] = {}
        with untouched(), at_rest(self._trainer.model):
            if self._task.dev:
                values = _counts(self._generated(step))
            if self._task.pairs:
                found = self._pairs.measure()
                values.update(
                    pair_accuracy=found.accuracy, margin=found.margin, length=found.length
                )
        return Measured(step=step, seconds=time.monotonic() - start, **values)

    def _generated(self, step: int) -> Evaluation:
        spec = self._task.spec.evaluation
        engine = TrainingEngine(
            self._trainer.model,
            self._trainer.processing_class,
            max_new_tokens=spec.max_new_tokens,
            stopped=self._stopped,
        )
        model_id, meter = f"{self._task.work.base_id}+step-{step}", Meter()
        asked = ModelSpec(model=model_id, max_tokens=spec.max_new_tokens)
        connection = connect_engine(
            engine, model_id=model_id, cache=Unkept(), meter=meter, spec=asked
        )
        with (
            connection,
            Evaluator(
                self._program,
                self._metric,
                connection,
                meter,
                concurrency=64,
                on_rows=lambda n: self._progress(),
            ) as evaluator,
        ):
            try:
                found = evaluator.evaluate(self._candidate, self._task.dev, tolerant=True)
            except UpturnError:
                self._look(engine)
                raise
        self._look(engine)
        if found.failures(FailureKind.OUTAGE):
            raise UpturnError(next(r.message for r in found.rows if r.failure is not None))
        return found

    def _look(self, engine: TrainingEngine) -> None:
        """Raises what the model raised: rows only know that they got no answer."""
        if engine.failure is not None:
            raise engine.failure
        if self._stopped():
            raise InterruptedEvaluation


def _counts(found: Evaluation) -> dict[str, Any]:
    return {
        "score": found.score,
        "values": tuple(row.value for row in found.rows),
        "rows": len(found.rows),
        "failed": found.count(Outcome.FAILED),
    }
