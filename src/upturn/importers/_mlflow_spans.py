"""Spans of an MLflow trace: base64 ids, nanoseconds, and attributes that are JSON in text."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import orjson

from upturn.events import Request
from upturn.events.problems import found
from upturn.importers._reading import first_text, labels, loose, tokens
from upturn.importers.base import RejectedError
from upturn.importers.fields import decoded, fields, iso_time, number, optional_amount, text
from upturn.records import Json

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What the parts of a trace need to know of it.

    Attributes:
        id: the trace's id.
        root: id in hex of the span that the trace stands for, or None where it has none.
        user, session: whose trace it is; its spans are the same user's.
    """

    id: str
    root: str | None
    user: str | None
    session: str | None

    def target(self, span: Json, field: str) -> str:
        """Returns the id of the request that stands for a span."""
        digits = span_id(span, field)
        return self.id if digits == self.root else f"{self.id}/{digits}"


def is_root(span: Json) -> bool:
    """Whether an element of the spans is one, and has no parent."""
    value = decoded(span)
    return isinstance(value, dict) and "span_id" in value and not value.get("parent_span_id")


def span_id(value: Json, field: str) -> str:
    """Returns a span id as 16 hex digits, from base64 (files) or hex (assessments)."""
    if isinstance(value, str):
        if len(value) == 16 and _HEX.issuperset(value.lower()):
            return value.lower()
        try:
            digits = base64.b64decode(value, validate=True)
            if len(digits) == 8:
                return digits.hex()
        except binascii.Error:
            pass
    raise RejectedError(field, f"must be a span id of 8 bytes, got {found(value)}")


def attribute(span: Mapping[str, Json], key: str) -> Json:
    """Returns an attribute as the value that was set: its JSON text is read."""
    value = loose(span.get("attributes")).get(key)
    if isinstance(value, str):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def span_request(trace: Trace, span: Mapping[str, Json]) -> Iterator[Request]:
    """Yields the request of a span; nothing for the root, which the trace stands for."""
    identity = trace.target(span.get("span_id"), "span_id")
    if identity == trace.id:
        return
    start, end = span.get("start_time_unix_nano"), span.get("end_time_unix_nano")
    parent = span.get("parent_span_id")
    error = error_of(span)
    yield Request(
        id=identity,
        time=iso_time(start, "start_time_unix_nano"),
        program=text(span, "name"),
        inputs=fields(attribute(span, "mlflow.spanInputs"), "input"),
        outputs={} if error else fields(attribute(span, "mlflow.spanOutputs"), "output"),
        user=trace.user,
        session=trace.session,
        model=first_text({"model": attribute(span, "mlflow.llm.model")}, "model"),
        parent=trace.target(parent, "parent_span_id") if parent else trace.id,
        latency_ms=_passed_ms(start, end),
        usage=tokens(loose(attribute(span, "mlflow.chat.tokenUsage"))),
        cost_usd=optional_amount(loose(attribute(span, "mlflow.llm.cost")), "total_cost"),
        error=error,
        slices=labels({"type": attribute(span, "mlflow.spanType")}, None),
        origin="mlflow",
        raw=span,
    )


def error_of(span: Mapping[str, Json]) -> str | None:
    """Returns why a span failed, or None where it did not."""
    status = loose(span.get("status"))
    if status.get("code") not in ("STATUS_CODE_ERROR", "ERROR", 2):
        return None
    return first_text(status, "message") or _exception(span) or "ERROR"


def _exception(span: Mapping[str, Json]) -> str | None:
    events = decoded(span.get("events"))
    for event in cast(list[Json], events) if isinstance(events, list) else []:
        said = first_text(loose(loose(event).get("attributes")), "exception.message")
        if said:
            return said
    return None


def _passed_ms(start: Json, end: Json) -> float | None:
    if not end:
        return None
    passed = number(end, "end_time_unix_nano") - number(start, "start_time_unix_nano")
    return max(0.0, passed / 1e6)
