"""Records every program that an optimizer runs, from outside: through DSPy's callbacks.

The student stays the plain program, so that optimizers copy it, read its source and name its
predictors as they always do. A call of the program opens a run; the metric, called next in the same
thread, closes it with a score; a call that raises closes it as a failed row.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from dspy.utils.callback import BaseCallback

from upturn.errors import UpturnError
from upturn.evaluate.rows import made_row
from upturn.lm import CallRecord, Meter, classify, ours
from upturn.metrics import Score
from upturn.peers.base import Part
from upturn.peers.halt import Switch
from upturn.peers.translate import Reader, samples
from upturn.records import (
    Candidate,
    Evaluation,
    Example,
    FailureKind,
    Json,
    Outcome,
    Row,
    canonical_json,
)

#: Evaluations of fewer rows are not worth a line in a log.
_TOLD_ROWS = 20


@dataclass(kw_only=True)
class Seen:
    """A program that was run, with its rows by part and example id."""

    candidate: Candidate
    rows: dict[Part, dict[str, Row]] = field(default_factory=dict)

    def on(self, part: Part, examples: Sequence[Example]) -> Evaluation:
        """Its rows of one part, in the order of the examples."""
        rows = self.rows.get(part, {})
        found = (rows[e.id] for e in examples if e.id in rows)
        return Evaluation(candidate_id=self.candidate.id, rows=tuple(found))


@dataclass(kw_only=True)
class _Run:
    """One call of the program; ``candidate`` is None where it is no evaluation."""

    call_id: str
    candidate: Candidate | None
    inputs: str
    metered: AbstractContextManager[list[CallRecord]]
    calls: list[CallRecord]
    running: bool = True


_run: ContextVar[_Run | None] = ContextVar("upturn_peer_run", default=None)


class Recorder(BaseCallback):
    """Hand it to ``dspy.context(callbacks=[...])``. Thread-safe.

    Args:
        student: programs are known by its type.
        rows: part -> the examples and DSPy's rows made of them, of the parts that count.
        meter: asked what each row called.
        switch: ends the run where a row shows that it cannot go on.
        reader: reads what a program is set to.
        log: told of larger evaluations.
    """

    def __init__(
        self,
        student: Any,
        rows: Mapping[Part, Sequence[tuple[Example, Any]]],
        *,
        meter: Meter,
        switch: Switch,
        reader: Reader,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        super().__init__()
        self._type, self._meter, self._switch = type(student), meter, switch
        self._reader, self._log = reader, log
        self._lock = threading.Lock()
        self._known: dict[int, tuple[Part, Example]] = {}
        self._by_inputs: dict[str, list[tuple[Part, Example]]] = {}
        self._kept = [made for pairs in rows.values() for _, made in pairs]
        for part, pairs in rows.items():
            for example, made in pairs:
                self._known[id(made)] = part, example
                key = canonical_json(dict(example.inputs))
                self._by_inputs.setdefault(key, []).append((part, example))
        self._seen: dict[str, Seen] = {}
        self._closed = False

    def programs(self) -> list[Seen]:
        """All programs that were run, in the order of their first call; none is added later."""
        with self._lock:
            self._closed = True
            return [seen for seen in self._seen.values() if seen.rows]

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """A program's call opens a run; what it calls inside belongs to it."""
        current = _run.get()
        if type(instance) is not self._type or (current is not None and current.running):
            return
        try:
            candidate = None if samples(instance) else self._reader.candidate(instance)
            key = canonical_json(dict(inputs.get("kwargs", {})))
            self._enter(candidate)
        except (TypeError, ValueError) as error:
            raise self._switch.off(_not_json(error)) from error
        metered = self._meter.record()
        _run.set(
            _Run(
                call_id=call_id,
                candidate=candidate,
                inputs=key,
                metered=metered,
                calls=metered.__enter__(),
            )
        )

    def on_module_end(
        self, call_id: str, outputs: Any, exception: BaseException | None = None
    ) -> None:
        """A run that raised is a failed row; one that did not waits for its score."""
        run = _run.get()
        if run is None or run.call_id != call_id:
            return
        run.running = False
        run.metered.__exit__(None, None, None)
        failure = _failure(outputs, exception)
        if failure is None:
            return
        _run.set(None)
        kind, message = failure
        if kind is None or kind in (FailureKind.OUTAGE, FailureKind.BUDGET):
            raise self._switch.off(_ours(exception, message))
        for part, example in self._by_inputs.get(run.inputs, [])[:1]:
            fields = {"outcome": Outcome.FAILED, "failure": kind, "message": message}
            self._keep(run, part, example, fields)

    def on_evaluate_end(
        self, call_id: str, outputs: Any | None, exception: BaseException | None = None
    ) -> None:
        """Tells of evaluations that are worth a line."""
        if outputs is not None and len(outputs.results) >= _TOLD_ROWS:
            with self._lock:
                count = sum(bool(seen.rows) for seen in self._seen.values())
            self._log(
                f"{count} programs, the last {outputs.score / 100:.3f} "
                f"on {len(outputs.results)} rows"
            )

    def scored(self, row: Any, score: Score, outputs: Mapping[str, Json]) -> None:
        """Closes this thread's run with the score of one of DSPy's rows."""
        run, found = _run.get(), self._known.get(id(row))
        _run.set(None)
        if run is None or found is None or run.running:
            return
        part, example = found
        if run.inputs != canonical_json(dict(example.inputs)):
            return
        outcome = Outcome.UNSCORED if score.value is None else Outcome.SCORED
        fields = {
            "outcome": outcome,
            "score": score.value,
            "parts": score.parts,
            "outputs": outputs,
        }
        self._keep(run, part, example, fields)

    def example(self, row: Any) -> Example | None:
        """The example that one of DSPy's rows was made of."""
        found = self._known.get(id(row))
        return None if found is None else found[1]

    def _enter(self, candidate: Candidate | None) -> None:
        if candidate is None:
            return
        key = candidate.id
        with self._lock:
            if not self._closed:
                self._seen.setdefault(key, Seen(candidate=candidate))

    def _keep(self, run: _Run, part: Part, example: Example, fields: Mapping[str, Any]) -> None:
        if run.candidate is None:
            return
        row = made_row(example, run.calls, fields)
        with self._lock:
            seen = self._seen.get(run.candidate.id)
            if seen is not None and not self._closed:
                # The first answer stays, as in the cache: a straggler may be run twice.
                seen.rows.setdefault(part, {}).setdefault(example.id, row)


def _failure(
    outputs: Any, exception: BaseException | None
) -> tuple[FailureKind | None, str] | None:
    """Kind and message of a call's failure, or None where it did not fail or was halted."""
    if isinstance(exception, Exception):
        return classify(exception), f"{type(exception).__name__}: {exception}"[:500]
    # GEPA keeps an answer that could not be parsed as an output beside its trace.
    failed: Any = outputs[0] if isinstance(outputs, tuple) and outputs else None
    if hasattr(failed, "completion_text"):
        return FailureKind.FORMAT, f"could not be parsed: {failed.completion_text}"[:500]
    return None


def _ours(exception: BaseException | None, message: str) -> UpturnError:
    own = ours(exception) if exception is not None else None
    return own or UpturnError(f"the program reached no model: {message}")


def _not_json(error: Exception) -> UpturnError:
    return UpturnError(f"the program's fields and demos must be JSON: {error}")
