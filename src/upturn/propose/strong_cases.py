"""Wrong answers as a strong model is shown them: what was asked, answered, right, and remarked."""

from __future__ import annotations

from collections.abc import Mapping

from upturn.lm import ours
from upturn.propose.base import Evidence
from upturn.records import Candidate, Example, Json, Row


def case_of(
    evidence: Evidence, candidate: Candidate, predictor: str, example: Example, row: Row
) -> dict[str, Json] | None:
    """Returns one wrong answer as the strong model is shown it; None where it tells nothing.

    Of a program with several predictors it holds what this one read and wrote, too; a predictor
    that was not called on a row learns nothing from it.
    """
    case: dict[str, Json] = {"input": example.inputs, "answer": row.outputs}
    if row.failure is not None:
        case["answer"] = f"none: {row.failure} failure, {row.message[:200]}"
    if len(evidence.program.predictors) > 1:
        step = _step(evidence, candidate, predictor, example)
        if step is None:
            return None
        known = evidence.program.predictors[predictor]
        case["step_input"] = {n: step[n] for n in known.inputs if n in step}
        case["step_answer"] = {n: step[n] for n in known.outputs if n in step}
    case["right_answer"] = example.labels
    case["right_answer_by"] = example.reason
    case["score"] = row.value
    case["parts"] = row.parts
    case["users_wrote"] = list(example.notes)
    return {name: value for name, value in case.items() if value not in ({}, [], "")}


def _step(
    evidence: Evidence, candidate: Candidate, predictor: str, example: Example
) -> Mapping[str, Json] | None:
    """Returns what a predictor read and wrote on a row, from the cache; None where it did not."""
    try:
        return evidence.evaluator.trace(candidate, example).get(predictor)
    except Exception as error:  # a program may raise anything, and did so on this row before
        own = ours(error)
        if own is not None:
            raise own from error
        return None
