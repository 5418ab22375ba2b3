"""The local evaluator: rows of candidates, on threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from upturn.evaluate.conditions import Conditions, Stage
from upturn.evaluate.crew import Crew
from upturn.evaluate.known import KnownRows, check
from upturn.evaluate.rows import RowRunner
from upturn.evaluate.runner import Work
from upturn.lm import Meter
from upturn.metrics import Metric
from upturn.programs import Program
from upturn.records import Candidate, Evaluation, Example, Json, Row

if TYPE_CHECKING:
    from upturn.lm.connect import Connection
    from upturn.weights.adapter import Adapter


#: Candidates that are kept ready between two blocks of a race.
_MAX_PREPARED = 128


class Evaluator:
    """Evaluates candidates of one program with one metric. Implements ``CandidateRunner``.

    Args:
        program: the program whose candidates are run.
        metric: scores a row.
        connection: the language model.
        meter: the connections' meter, asked what each row called.
        concurrency: rows in flight at a time.
        on_rows: told how many rows have just been finished; for progress bars.
        connections: further models, by the names that the setting ``model`` of a candidate uses.
        adapters: trained weights, by the ids that the setting ``weights`` of a candidate uses.
    """

    def __init__(
        self,
        program: Program,
        metric: Metric,
        connection: Connection,
        meter: Meter,
        *,
        concurrency: int = 32,
        on_rows: Callable[[int], None] = lambda n: None,
        connections: Mapping[str, Connection] | None = None,
        adapters: Mapping[str, Adapter] | None = None,
    ) -> None:
        self._program = program
        self._stage = Stage(
            program=program,
            connection=connection,
            connections=connections or {},
            adapters=adapters or {},
        )
        self._metric, self._meter, self._on_rows = metric, meter, on_rows
        self._known = KnownRows()
        self._prepared: dict[str, Conditions] = {}
        self._lock = threading.Lock()
        self._models = (connection, *(connections or {}).values())
        self._crew = Crew(concurrency, interrupt=self._interrupt)

    def evaluate(
        self, candidate: Candidate, examples: Sequence[Example], *, tolerant: bool = False
    ) -> Evaluation:
        """Runs the candidate on the examples, in their order.

        Args:
            candidate: what to run.
            examples: rows; those already run by this evaluator are not run again.
            tolerant: keep going in an outage; the gate does, because it judges failures itself.

        Raises:
            OutageError: half of the newly run rows could not reach the model.
            BudgetExceededError: a cap was reached before all rows could run.
            MetricError: the metric raised or returned what is no score, on any row.
            ConfigError: a setting of the candidate cannot be applied.
            ModelError: the candidate's weights are not for its model.
            ProgramError: the candidate does not fit the program.
        """
        return self.evaluate_all([(candidate, examples)], tolerant=tolerant)[0]

    def evaluate_all(self, work: Work, *, tolerant: bool = False) -> list[Evaluation]:
        """Runs all rows of several candidates at once; see :class:`CandidateRunner`.

        An outage and a cap are judged candidate by candidate, in order, after all rows have run.

        Raises:
            UpturnError: as ``evaluate``, for the first candidate that it concerns.
        """
        fresh = self._known.fresh(work)
        rows = dict(zip(fresh, self._run(list(fresh.values())), strict=True))
        for key, row in rows.items():
            self._known.keep(key, row)
        if not tolerant:
            check(rows)
        return self._known.evaluations(work, rows)

    def trace(self, candidate: Candidate, example: Example) -> dict[str, dict[str, Json]]:
        """Returns predictor name -> the fields it read and wrote on one row.

        The row's answers come from the cache when the row was run before, so this costs nothing
        then. A predictor that was called more than once keeps its last call.
        """
        conditions = self._stage.prepare(candidate)
        names = {id(p): n for n, p in conditions.built.predictors.items()}
        steps: list[Any] = []
        conditions.context(trace=steps).run(conditions.built.module, **example.inputs)
        return {names[id(p)]: {**i, **dict(o.items())} for p, i, o in steps if id(p) in names}

    def _interrupt(self) -> None:
        for model in self._models:
            model.interrupt()

    def close(self) -> None:
        """Ends the threads; rows that wait are dropped, rows in flight are waited for."""
        self._crew.close()

    def __enter__(self) -> Evaluator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, rows: Sequence[tuple[Candidate, Example]]) -> list[Row]:
        if not rows:
            return []
        runner = RowRunner(
            metric=self._metric,
            meter=self._meter,
            outputs=tuple(self._program.fields.outputs),
            on_rows=self._on_rows,
        )
        ready: dict[int, Callable[[Example], Row]] = {}
        for candidate, _ in rows:
            if id(candidate) not in ready:
                ready[id(candidate)] = _runs(runner, self._conditions(candidate))
        return self._crew.run([partial(ready[id(c)], example) for c, example in rows])

    def _conditions(self, candidate: Candidate) -> Conditions:
        """Prepares a candidate, or takes it as it was: a race runs the same ones block by block."""
        name = candidate.id
        with self._lock:
            conditions = self._prepared.pop(name, None) or self._stage.prepare(candidate)
            self._prepared[name] = conditions
            if len(self._prepared) > _MAX_PREPARED:
                del self._prepared[next(iter(self._prepared))]
        return conditions


def _runs(runner: RowRunner, conditions: Conditions) -> Callable[[Example], Row]:
    """Returns what runs one row of a candidate, in a context of the row's own."""
    context, module = conditions.context(), conditions.built.module

    def run(example: Example) -> Row:
        return context.copy().run(runner.run, module, example, conditions.prompt_chars)

    return run
