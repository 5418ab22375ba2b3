"""What an OpenTelemetry exporter sends as protobuf, as the OTLP/JSON of the specification."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from typing import Any

from upturn.errors import DataError, MissingExtraError
from upturn.records import Json


def from_protobuf(body: bytes) -> dict[str, Json]:
    """Returns an ``ExportTraceServiceRequest`` as OTLP/JSON: ids in hex, 64-bit numbers as text.

    Raises:
        DataError: the body is no such message.
        MissingExtraError: the extra ``collect`` is not installed.
    """
    try:
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )
    except ImportError as error:
        raise MissingExtraError("collect", "reading OTLP as protobuf") from error
    try:
        request: Any = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        rule = f"the body must be an ExportTraceServiceRequest in protobuf, got {len(body)} bytes"
        raise DataError(
            f"{rule} that are none",
            fix="send OTLP as http/protobuf, or as JSON with Content-Type: application/json",
        ) from error
    return {"resourceSpans": [_resource_spans(r) for r in request.resource_spans]}


def _resource_spans(batch: Any) -> dict[str, Json]:
    scopes = [
        {
            "scope": {"name": s.scope.name, "version": s.scope.version},
            "spans": [_span(span) for span in s.spans],
        }
        for s in batch.scope_spans
    ]
    resource = {"attributes": _attributes(batch.resource.attributes)}
    return {"resource": resource, "scopeSpans": scopes}


def _span(span: Any) -> dict[str, Json]:
    made: dict[str, Json] = {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "parentSpanId": span.parent_span_id.hex(),
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "endTimeUnixNano": str(span.end_time_unix_nano),
        "attributes": _attributes(span.attributes),
    }
    if span.trace_state:
        made["traceState"] = span.trace_state
    if span.events:
        made["events"] = [_event(e) for e in span.events]
    if span.links:
        made["links"] = [_link(link) for link in span.links]
    if span.HasField("status"):
        made["status"] = {"code": span.status.code, "message": span.status.message}
    return made


def _event(event: Any) -> dict[str, Json]:
    return {
        "name": event.name,
        "timeUnixNano": str(event.time_unix_nano),
        "attributes": _attributes(event.attributes),
    }


def _link(link: Any) -> dict[str, Json]:
    return {
        "traceId": link.trace_id.hex(),
        "spanId": link.span_id.hex(),
        "attributes": _attributes(link.attributes),
    }


def _attributes(entries: Iterable[Any]) -> list[dict[str, Json]]:
    return [{"key": e.key, "value": _value(e.value)} for e in entries]


def _value(value: Any) -> dict[str, Json]:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return {"stringValue": value.string_value}
    if kind == "int_value":
        return {"intValue": str(value.int_value)}
    if kind == "double_value":
        return {"doubleValue": _double(value.double_value)}
    if kind == "bool_value":
        return {"boolValue": value.bool_value}
    if kind == "array_value":
        return {"arrayValue": {"values": [_value(v) for v in value.array_value.values]}}
    if kind == "kvlist_value":
        return {"kvlistValue": {"values": _attributes(value.kvlist_value.values)}}
    if kind == "bytes_value":
        return {"bytesValue": base64.b64encode(value.bytes_value).decode()}
    return {}


def _double(value: float) -> Json:
    """JSON has no NaN and no infinity; protobuf writes them as text."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
