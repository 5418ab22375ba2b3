"""Assessments of an MLflow trace as feedback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from upturn.events import Feedback, Role, Signal
from upturn.events.problems import found, one_of
from upturn.importers._mlflow_spans import Trace
from upturn.importers.base import RejectedError
from upturn.importers.fields import (
    decoded,
    derived_id,
    iso_time,
    mapping,
    number,
    optional_text,
    text,
)
from upturn.records import Json, canonical_json

_ROLES = {
    "HUMAN": Role.CUSTOMER,
    "LLM_JUDGE": Role.JUDGE,
    "AI_JUDGE": Role.JUDGE,
    "CODE": Role.SYSTEM,
    "SOURCE_TYPE_UNSPECIFIED": Role.SYSTEM,
}
#: Expectations that name no output field, but the answer as a whole.
_WHOLE = frozenset(
    ("expected_response", "expected_answer", "expected_output", "ground_truth", "expected")
)
#: Expectations that MLflow's judges read, and that are no answer.
_NO_ANSWER = frozenset(("expected_facts", "guidelines", "expected_retrieved_context"))


def assessment(trace: Trace, a: Mapping[str, Json]) -> Iterator[Feedback]:
    """Yields what an assessment says: one event, or one for each entry of an object."""
    if a.get("valid") is False:
        raise RejectedError("valid", "must be true: it was withdrawn or replaced; got False")
    name = text(a, "assessment_name")
    source = mapping(a, "source")
    kind = optional_text(source, "source_type") or "SOURCE_TYPE_UNSPECIFIED"
    if kind not in _ROLES:
        raise RejectedError("source.source_type", one_of(_ROLES, kind))
    base = Feedback(
        id=optional_text(a, "assessment_id") or derived_id("mlflow", trace.id, dict(a)),
        request_id=_about(trace, a),
        time=iso_time(a.get("create_time"), "create_time"),
        signal=Signal.COMMENT,
        value=None,
        rater=optional_text(source, "source_id") or f"mlflow:{kind}",
        role=_ROLES[kind],
        comment=optional_text(a, "rationale"),
        name=name,
        origin="mlflow",
        raw=a,
    )
    if "expectation" in a:
        yield _expected(base, name, _expectation(a))
        return
    yield from _judged(base, name, _feedback(a))


def _about(trace: Trace, a: Mapping[str, Json]) -> str:
    span = optional_text(a, "span_id")
    return trace.target(span, "span_id") if span else trace.id


def _feedback(a: Mapping[str, Json]) -> Json:
    said = mapping(a, "feedback")
    error = mapping(said, "error")
    if error:
        message = error.get("error_message") or error.get("error_code")
        raise RejectedError("feedback.error", f"must not be there, got {found(message)}")
    return said.get("value")


def _judged(base: Feedback, name: str, value: Json) -> Iterator[Feedback]:
    if isinstance(value, dict):
        for key in sorted(value):
            whose = replace(base, id=f"{base.id}/{key}", name=f"{name}.{key}")
            yield _one(whose, value[key], f"feedback.value.{key}")
        return
    yield _one(base, value, "feedback.value")


def _one(base: Feedback, value: Json, field: str) -> Feedback:
    if value is None and base.comment:
        return base
    if isinstance(value, bool):
        return replace(base, signal=Signal.THUMBS, value=value)
    if isinstance(value, str) and value:
        return replace(base, signal=Signal.CATEGORY, value=value)
    if isinstance(value, int | float):
        return replace(base, signal=Signal.SCORE, value=number(value, field))
    raise RejectedError(field, f"must be true, false, a number or a text, got {found(value)}")


def _expectation(a: Mapping[str, Json]) -> Json:
    """Returns what is expected; lists and objects stand in the JSON of ``serialized_value``."""
    said = mapping(a, "expectation")
    value = said.get("value")
    if value is None:
        value = decoded(mapping(said, "serialized_value").get("value"))
    if value is None or value in ("", {}):
        raise RejectedError("expectation.value", f"must be there, got {found(value)}")
    return value


def _expected(base: Feedback, name: str, value: Json) -> Feedback:
    if base.role is Role.CUSTOMER:
        base = replace(base, role=Role.REVIEWER)
    if name in _NO_ANSWER:
        said = value if isinstance(value, str) else canonical_json(value)
        return replace(base, comment="\n".join(filter(None, (said, base.comment))))
    if isinstance(value, dict):
        return replace(base, signal=Signal.CORRECTION, value=value)
    key = "output" if name in _WHOLE else name
    return replace(base, signal=Signal.CORRECTION, value={key: value})
