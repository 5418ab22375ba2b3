"""Traces: both encodings, and the answers that OTLP asks for."""

import json

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tests.unit.collector.stores import MemoryStore
from tests.unit.collector.test_app import TRIAGE, asking
from upturn.collector.limits import Limits

PROTOBUF = "application/x-protobuf"
START = 1_795_000_000_000_000_000


def span(number: int, name: str = "triage") -> Span:
    return Span(
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        name=name,
        start_time_unix_nano=START,
        end_time_unix_nano=START + 5_000_000,
    )


def export(*spans: Span) -> bytes:
    scopes = [ScopeSpans(spans=spans)]
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=scopes)]
    ).SerializeToString()


def post(body: bytes, kind: str, store=None, limits=None, **more):
    async def work(ask):
        return await ask.post("/v1/traces", body=body, content_type=kind, **more)

    return asking(work, store=store, limits=limits)


def test_protobuf_is_taken_and_answered_in_protobuf():
    store = MemoryStore()
    answer = post(export(span(1), span(2)), PROTOBUF, store)
    assert (answer.status_code, answer.headers["content-type"]) == (200, PROTOBUF)
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    assert store.ids == {f"{n:032x}-{n:016x}" for n in (1, 2)}


def test_json_is_taken_and_answered_in_json():
    store = MemoryStore()
    spans = [
        {
            "traceId": "a" * 32,
            "spanId": "b" * 16,
            "name": "triage",
            "startTimeUnixNano": str(START),
            "endTimeUnixNano": str(START + 1),
        }
    ]
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    answer = post(json.dumps(body).encode(), "application/json; charset=utf-8", store)
    assert (answer.status_code, answer.json()) == (200, {})
    assert store.ids == {"a" * 32 + "-" + "b" * 16}


def test_what_cannot_be_used_is_a_partial_success():
    store = MemoryStore()
    bad = span(2)
    bad.span_id = b""
    answer = post(export(span(1), bad), PROTOBUF, store)
    said = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert answer.status_code == 200
    assert said.rejected_spans == 1
    assert "spanId" in said.error_message
    assert len(store.ids) == 1


def test_spans_of_other_programs_are_a_partial_success():
    store = MemoryStore()
    answer = post(export(span(1), span(2, "billing")), PROTOBUF, store, token=TRIAGE)
    said = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert said.rejected_spans == 1
    assert said.error_message.endswith(
        "must be one of the token's programs (triage), got 'billing'"
    )
    assert len(store.ids) == 1


def test_json_says_partial_success_in_json():
    spans = [{"traceId": "zz", "spanId": "b" * 16, "name": "x"}]
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    answer = post(json.dumps(body).encode(), "application/json")
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"


def test_failures_are_a_status_in_the_encoding_of_the_request():
    wrong = post(b"\xff\xff rubbish", PROTOBUF)
    assert wrong.status_code == 400
    assert Status.FromString(wrong.content).code == 3
    nobody = post(export(span(1)), PROTOBUF, token=None)
    assert nobody.status_code == 401
    assert Status.FromString(nobody.content).message.startswith("a token must be sent")
    as_json = post(b"{", "application/json")
    assert (as_json.status_code, as_json.json()["code"]) == (400, 3)
    assert post(b"[]", "application/json").status_code == 400
    assert post(b"{}", "application/json").status_code == 400
    assert post(b"x", "text/plain").status_code == 415
    many = post(export(*(span(n) for n in range(1, 5))), PROTOBUF, limits=Limits(events=3))
    assert many.status_code == 413


def test_an_exporter_is_told_to_come_back():
    answer = post(export(span(1)), PROTOBUF, MemoryStore(away=True))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert Status.FromString(answer.content).code == 14
