"""Runs a candidate on examples: every row ends scored, unscored or failed, none is lost.

DSPy's own evaluator turns an exception into a 0.0 and forgets it; here a failure is a row with a
kind. A row that was already run is never run again in the same process; across processes the answer
cache of the language model does that job.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from upturn.errors import BudgetExceededError, MetricError, OutageError
from upturn.lm import Meter, classify, ours
from upturn.metrics import Metric
from upturn.programs import Program
from upturn.records import Candidate, Evaluation, Example, FailureKind, Json, Outcome, Row

if TYPE_CHECKING:
    from upturn.lm.connect import Connection

#: A block where at least this share of rows failed by outage stops the turn: scores would be noise.
OUTAGE_SHARE = 0.5


class Evaluator:
    """Evaluates candidates of one program with one metric on one model.

    Args:
        program: the program whose candidates are run.
        metric: scores a row.
        connection: the language model.
        meter: the connection's meter, asked what each row called.
        concurrency: rows in flight at a time.
        on_rows: told how many rows have just been finished; for progress bars.
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
    ) -> None:
        self._program = program
        self._metric = metric
        self._connection, self._meter = connection, meter
        self._on_rows = on_rows
        self._known: dict[tuple[str, str], Row] = {}
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="upturn-row")

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
            MetricError: the metric raised or returned what is no score.
        """
        fresh = [e for e in examples if (candidate.id, e.id) not in self._known]
        rows = self._run(candidate, fresh) if fresh else []
        self._remember(candidate, rows)
        if not tolerant:
            self._check(rows)
        lookup = {r.example_id: r for r in rows}
        found = (lookup.get(e.id) or self._known[candidate.id, e.id] for e in examples)
        return Evaluation(candidate_id=candidate.id, rows=tuple(found))

    def close(self) -> None:
        """Ends the threads; rows that wait are dropped, rows in flight are waited for."""
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Evaluator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def trace(self, candidate: Candidate, example: Example) -> dict[str, dict[str, Json]]:
        """Returns predictor name -> the fields it read and wrote on one row.

        The row's answers come from the cache when the row was run before, so this costs nothing
        then. A predictor that was called more than once keeps its last call.
        """
        import dspy

        module = self._program.build(candidate)
        names = {id(p): n for n, p in module.named_predictors()}
        adapter = dspy.ChatAdapter(use_json_adapter_fallback=False)
        with dspy.context(lm=self._connection.lm, adapter=adapter, trace=[]):
            module(**example.inputs)
            steps: list[Any] = list(dspy.settings.trace)
        return {names[id(p)]: {**i, **dict(o.items())} for p, i, o in steps if id(p) in names}

    def _remember(self, candidate: Candidate, rows: Sequence[Row]) -> None:
        # A row that the world failed is not an answer: it may be asked for again.
        for row in rows:
            if row.failure not in (FailureKind.OUTAGE, FailureKind.BUDGET):
                self._known[candidate.id, row.example_id] = row

    def _check(self, rows: Sequence[Row]) -> None:
        if any(r.failure is FailureKind.BUDGET for r in rows):
            stopped = next(r.message for r in rows if r.failure is FailureKind.BUDGET)
            raise BudgetExceededError(stopped)
        lost = [r for r in rows if r.failure is FailureKind.OUTAGE]
        if rows and len(lost) >= OUTAGE_SHARE * len(rows):
            raise OutageError(
                f"{len(lost)} of {len(rows)} rows could not reach the model: {lost[0].message}",
                fix="run the same command again when it is back: what was paid for is kept",
            )

    def _run(self, candidate: Candidate, examples: Sequence[Example]) -> list[Row]:
        import dspy

        module = self._program.build(candidate)
        adapter = dspy.ChatAdapter(use_json_adapter_fallback=False)
        with dspy.context(lm=self._connection.lm, adapter=adapter, trace=None):
            # Plain threads do not inherit DSPy's context: each row runs in its own copy of it.
            submit = self._pool.submit
            jobs = [submit(contextvars.copy_context().run, self._row, module, e) for e in examples]
            try:
                return [job.result() for job in jobs]
            except BaseException:
                for job in jobs:
                    job.cancel()
                # Rows in flight still use the model: nothing may be closed under them.
                wait(jobs)
                raise

    def _row(self, module: Any, example: Example) -> Row:
        with self._meter.record() as calls:
            try:
                prediction = module(**example.inputs)
                result = self._scored(example, prediction)
            except MetricError:
                raise
            except Exception as error:  # whatever a row raises becomes a failed row with its kind
                result = _failed(error)
        self._on_rows(1)
        return Row(
            example_id=example.id,
            group=example.group,
            slices=example.slices,
            latency_s=sum(c.latency_s for c in calls),
            cost_usd=sum(c.cost_usd for c in calls),
            input_tokens=sum(c.input_tokens for c in calls),
            output_tokens=sum(c.output_tokens for c in calls),
            calls=len(calls),
            cached_calls=sum(c.cached for c in calls),
            **result,
        )

    def _scored(self, example: Example, prediction: Any) -> dict[str, Any]:
        import dspy

        labelled = dspy.Example(**example.inputs, **example.labels)
        score = self._metric(labelled, prediction, example_id=example.id)
        outcome = Outcome.UNSCORED if score.value is None else Outcome.SCORED
        outputs = {k: prediction.get(k) for k in self._program.fields.outputs}
        return {"outcome": outcome, "score": score.value, "parts": score.parts, "outputs": outputs}


def _failed(error: Exception) -> dict[str, Any]:
    """The fields of a failed row; raises instead where the turn itself cannot go on."""
    kind = classify(error)
    if kind is None:
        raise ours(error) or error
    message = f"{type(error).__name__}: {error}"[:500]
    return {"outcome": Outcome.FAILED, "failure": kind, "message": message}
