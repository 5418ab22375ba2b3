"""Runs a suite for one candidate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from upturn.evaluate import CandidateRunner
from upturn.metrics import Metric
from upturn.records import OWN_FAILURES, Candidate, FailureKind, Row
from upturn.suites.binding import Bound, BoundRow
from upturn.suites.grading import Grade
from upturn.suites.judge import Judge, Lost
from upturn.suites.result import RowResult, SuiteResult

#: Characters of a program's own error that a reason shows.
_SHOWN = 160


def _nothing(example: Any, prediction: Any) -> None:
    return None


#: The metric that a suite's rows are run with: it keeps the answers, and scores nothing.
ANSWERS = Metric(function=_nothing, name="suite")


def run_suite(
    bound: Bound, candidate: Candidate, runner: CandidateRunner, *, judge: Judge | None = None
) -> SuiteResult:
    """Runs all rows. One that the program fails to answer in a form that can be read has failed.

    Args:
        bound: the suite.
        candidate: what is run.
        runner: made with ``ANSWERS``.
        judge: for suites with graded rows; only asked about rows whose checks hold.

    Raises:
        OutageError: half of the rows could not reach the model.
        BudgetExceededError: a cap was reached.
    """
    examples = [e for r in bound.rows for e in r.examples.values()]
    done = {row.example_id: row for row in runner.evaluate(candidate, examples).rows}
    found = [_checked(r, {n: done[e.id] for n, e in r.examples.items()}) for r in bound.rows]
    waiting = [i for i, (r, f) in enumerate(zip(bound.rows, found, strict=True)) if _asks(r, f)]
    if waiting:
        assert judge is not None, "a suite with graded rows is opened with its judge"
        answers = {
            i: {n: done[e.id].outputs for n, e in bound.rows[i].examples.items()} for i in waiting
        }
        for i, result in _graded([(i, bound.rows[i], answers[i]) for i in waiting], judge):
            found[i] = result
    return SuiteResult(name=bound.suite.name, rows=tuple(found))


def _asks(row: BoundRow, found: RowResult) -> bool:
    return row.row.grade is not None and found.passed is True


def _checked(bound: BoundRow, rows: Mapping[str, Row]) -> RowResult:
    row = bound.row
    lost = [r for r in rows.values() if r.failure and r.failure not in OWN_FAILURES]
    if lost:
        return RowResult(id=row.id, passed=None, why="no answer from the model's server")
    failed = next((r for r in rows.values() if r.failure), None)
    if failed is not None:
        return RowResult(id=row.id, passed=False, why=_failure(failed))
    for answer in rows.values():
        for name in bound.outputs:
            text = as_answer(answer.outputs.get(name))
            fault = next((f for c in row.checks if (f := c.fault(text))), "")
            if fault:
                return RowResult(id=row.id, passed=False, why=f"{name} {fault}")
    return RowResult(id=row.id, passed=True)


def _graded(
    rows: Sequence[tuple[int, BoundRow, Mapping[str, Mapping[str, Any]]]], judge: Judge
) -> list[tuple[int, RowResult]]:
    asked: list[list[str]] = []
    for _, bound, answers in rows:
        texts = {n: as_answer(out.get(bound.outputs[0])) for n, out in answers.items()}
        assert bound.row.grade is not None
        asked.append(bound.row.grade.prompts(texts))
    said = iter(judge.ask([prompt for prompts in asked for prompt in prompts]))
    found: list[tuple[int, RowResult]] = []
    for (i, bound, _), prompts in zip(rows, asked, strict=True):
        assert bound.row.grade is not None
        found.append((i, _grade(bound.row.id, bound.row.grade, [next(said) for _ in prompts])))
    return found


def _grade(name: str, grade: Grade, said: Sequence[str | Lost]) -> RowResult:
    if any(isinstance(s, Lost) for s in said):
        return RowResult(id=name, passed=None, why="no answer from the judge's server")
    grades = [grade.rubric.passes(s) for s in said if isinstance(s, str)]
    if any(g is None for g in grades):
        why = "the judge's choice cannot be read"
        return RowResult(id=name, passed=False, why=why, invalid=True)
    ok = all(grades)
    return RowResult(id=name, passed=ok, why="" if ok else "the judge let it fail")


def _failure(row: Row) -> str:
    if row.failure is FailureKind.FORMAT:
        return "the answer cannot be read"
    shown = "".join(c if c.isprintable() else " " for c in row.message[:_SHOWN])
    return f"the program failed: {shown}"


def as_answer(value: Any) -> str:
    """Returns an output as text: a text as it is, anything else as JSON where that is possible."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    dumped = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    try:
        return json.dumps(dumped, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)
