"""Credit by predictor: which failed rows a predictor is to blame for.

A predictor that wrote a wrong value into a field with a label is to blame; what reads that value is
not. A predictor without any label may have misled all that come after it, so it is to blame too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from upturn.programs import PredictorFields
from upturn.propose.base import Evidence
from upturn.records import Candidate, Example, Json, Row

Trace = Mapping[str, Mapping[str, Json]]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A failed row that a predictor is to blame for.

    Attributes:
        example: the row's inputs and labels.
        row: what became of it.
        wrote: the predictor's output field -> what it wrote; empty where the row broke off.
    """

    example: Example
    row: Row
    wrote: Mapping[str, Json]


def leader(evidence: Evidence) -> Candidate:
    """The candidate to improve on: the best survivor, in the first generation what runs now."""
    return evidence.survivors[0].candidate if evidence.survivors else evidence.start


def failed_rows(evidence: Evidence) -> list[tuple[Example, Row]]:
    """The rows of the search's part of dev that the leader got wrong."""
    if not evidence.survivors:
        return list(evidence.failures)
    examples = {e.id: e for e in evidence.searched}
    rows = evidence.survivors[0].evaluation.rows
    wrong = [r for r in rows if r.value is not None and r.value < 1.0]
    return [(examples[r.example_id], r) for r in wrong if r.example_id in examples]


def faults(evidence: Evidence) -> dict[str, list[Fault]]:
    """Predictor name -> the leader's failed rows that it is to blame for.

    A program of one predictor needs no trace. With several, a row's trace says who wrote what; a
    row that broke off has none, and all are to blame for it.
    """
    predictors = evidence.program.predictors
    found: dict[str, list[Fault]] = {name: [] for name in predictors}
    for example, row in failed_rows(evidence):
        trace = _trace(evidence, example, row)
        for name in blamed(predictors, trace, example):
            values = trace.get(name, {})
            wrote = {f: values[f] for f in predictors[name].outputs if f in values}
            found[name].append(Fault(example=example, row=row, wrote=wrote))
    return found


def blamed(predictors: Mapping[str, PredictorFields], trace: Trace, example: Example) -> list[str]:
    """Names the predictors that are to blame for a failed row.

    Args:
        predictors: name -> fields, of the whole program.
        trace: the predictors that ran -> what they read and wrote, in the order of their calls.
        example: the row; labels of closed fields are what a value is compared with.
    """
    if not trace:
        return list(predictors)
    marks = {name: _right(predictors[name], trace[name], example) for name in trace}
    wrong = [name for name, mark in marks.items() if mark is False]
    if not wrong:
        return [name for name, mark in marks.items() if mark is None] or list(trace)
    ran = list(trace)
    before = ran[: ran.index(wrong[0])]
    misled = [name for name in before if marks[name] is None]
    # A later one that read nothing but the program's own inputs was misled by nobody.
    own = [n for n in wrong[1:] if _reads_only_inputs(predictors[n], trace[n], example)]
    return [*misled, wrong[0], *own]


def _trace(evidence: Evidence, example: Example, row: Row) -> Trace:
    if row.failure is not None:
        return {}
    predictors = evidence.program.predictors
    if len(predictors) == 1:
        return {next(iter(predictors)): {**example.inputs, **row.outputs}}
    return evidence.evaluator.trace(leader(evidence), example)


def _right(fields: PredictorFields, values: Mapping[str, Json], example: Example) -> bool | None:
    """Whether all labelled values are right; None where none has a label to compare with."""
    known = [f for f, closed in fields.outputs.items() if closed and f in example.labels]
    if not known:
        return None
    return all(str(values.get(f)) == str(example.labels[f]) for f in known)


def _reads_only_inputs(
    fields: PredictorFields, values: Mapping[str, Json], example: Example
) -> bool:
    given = [str(v) for v in example.inputs.values()]
    return all(str(values.get(f)) in given for f in fields.inputs)
