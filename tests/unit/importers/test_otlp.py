"""OTLP/JSON: ids, values, the ages of the GenAI conventions, and protobuf."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.unit.importers.reading import Read, refused
from upturn.errors import DataError
from upturn.events import Signal
from upturn.importers._genai import indexed, inputs, outputs
from upturn.importers._otlp_values import attributes
from upturn.importers.otlp import from_protobuf
from upturn.records import Json

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


def text(value: str) -> Json:
    return {"stringValue": value}


def batch(**span: Json) -> dict[str, Json]:
    known = {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "chat",
        "startTimeUnixNano": "1795170875954321000",
        "endTimeUnixNano": "1795170875955571000",
        "attributes": [],
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [known | span]}]}]}


def test_ids_in_hex_of_any_case_and_in_base64_are_one() -> None:
    hexed = Read("otlp", batch(traceId=TRACE.upper(), parentSpanId="EEE19B7EC3C1B173")).request
    encoded = {
        "traceId": base64.b64encode(bytes.fromhex(TRACE)).decode(),
        "spanId": base64.b64encode(bytes.fromhex(SPAN)).decode(),
        "parentSpanId": base64.b64encode(bytes.fromhex("eee19b7ec3c1b173")).decode(),
    }
    other = Read("otlp", batch(**encoded)).request
    assert hexed.id == other.id == f"{TRACE}-{SPAN}"
    assert hexed.parent == other.parent == f"{TRACE}-eee19b7ec3c1b173"


def test_nanoseconds_as_text_or_number() -> None:
    as_text = Read("otlp", batch()).request
    as_number = Read("otlp", batch(startTimeUnixNano=1795170875954321000)).request
    assert as_text.time == as_number.time == "2026-11-20T10:34:35.954321+00:00"
    assert as_text.latency_ms == 1.25
    assert Read("otlp", batch(endTimeUnixNano="0")).request.latency_ms is None


def test_an_id_of_zeros_is_none() -> None:
    assert Read("otlp", batch(parentSpanId="0" * 16)).request.parent is None
    assert refused("otlp", batch(spanId="0" * 16)).endswith(
        "spans[0].spanId must be 16 hex digits, got '0000000000000000'"
    )


def test_attribute_values() -> None:
    def entry(key: str, value: Json) -> Json:
        return {"key": key, "value": value}

    values = [
        entry("text", text("a")),
        entry("whole", {"intValue": "9007199254740993"}),
        entry("part", {"doubleValue": 0.5}),
        entry("nan", {"doubleValue": "NaN"}),
        entry("yes", {"boolValue": True}),
        entry("list", {"arrayValue": {"values": [text("a"), {"intValue": 1}]}}),
        entry("object", {"kvlistValue": {"values": [entry("k", {"arrayValue": {}})]}}),
        entry("empty", {}),
    ]
    assert attributes({"attributes": values}) == {
        "text": "a",
        "whole": 9007199254740993,
        "part": 0.5,
        "nan": "NaN",
        "yes": True,
        "list": ["a", 1],
        "object": {"k": []},
        "empty": None,
    }


def test_values_nested_too_deep_are_rejected() -> None:
    value: Json = text("a")
    for _ in range(40):
        value = {"arrayValue": {"values": [value]}}
    record = batch(attributes=[{"key": "a", "value": value}])
    assert refused("otlp", record).endswith("attributes must be nested at most 32 deep")


NEW = {
    "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"Hi"}]}]',
    "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"Yes"}]}]',
}
OLD = {
    "gen_ai.prompt.0.role": "user",
    "gen_ai.prompt.0.content": "Hi",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "Yes",
}
LISTED = {
    "gen_ai.prompt": '[{"role":"user","content":"Hi"}]',
    "gen_ai.completion": '[{"role":"assistant","content":"Yes"}]',
}
SPOKEN = [
    ("gen_ai.user.message", {"content": "Hi"}),
    ("gen_ai.choice", {"index": 0, "message": '{"content":"Yes"}'}),
]
DETAILS = [("gen_ai.client.inference.operation.details", NEW)]


@pytest.mark.parametrize(
    ("span", "events"),
    [(NEW, []), (OLD, []), (LISTED, []), ({}, SPOKEN), ({}, DETAILS)],
    ids=["parts", "indexed", "listed", "events", "details"],
)
def test_every_age_of_the_conventions_says_the_same(
    span: dict[str, Json], events: list[tuple[str, dict[str, Json]]]
) -> None:
    assert inputs(span, events) == {"messages": [{"role": "user", "content": "Hi"}]}
    assert outputs(span, events) == {"output": "Yes"}


def test_indexed_attributes_are_ordered_by_number() -> None:
    values = {"p.10.role": "c", "p.2.role": "b", "p.0.role": "a", "p.x.role": "-", "p.3": "-"}
    assert indexed(values, "p.") == [{"role": "a"}, {"role": "b"}, {"role": "c"}]
    assert indexed({f"p.{'9' * 5000}.role": "a", "p.².role": "b"}, "p.") == []


def test_an_evaluation_span_speaks_of_its_parent() -> None:
    record = batch(
        name="gen_ai.evaluation.result",
        parentSpanId="eee19b7ec3c1b173",
        attributes=[
            {"key": "gen_ai.evaluation.name", "value": text("Tone")},
            {"key": "gen_ai.evaluation.score.label", "value": text("warm")},
        ],
    )
    said = Read("otlp", record).said
    assert said.request_id == f"{TRACE}-eee19b7ec3c1b173"
    assert (said.signal, said.value, said.name) == (Signal.CATEGORY, "warm", "Tone")


def test_metrics_hold_nothing_and_other_records_are_refused() -> None:
    assert Read("otlp", {"resourceMetrics": []}).requests == {}
    assert refused("otlp", {"spans": []}).startswith("resourceSpans must be a list of resources")


def test_protobuf_gives_the_same_request_as_json() -> None:
    message = ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id = bytes.fromhex(TRACE), bytes.fromhex(SPAN)
    span.name = "chat"
    span.start_time_unix_nano = 1795170875954321000
    span.end_time_unix_nano = 1795170875955571000
    told = span.attributes.add(key="gen_ai.input.messages").value.array_value.values.add()
    role = told.kvlist_value.values.add(key="role")
    role.value.string_value = "user"
    told.kvlist_value.values.add(key="content").value.string_value = "Hi"
    span.attributes.add(key="n").value.double_value = float("nan")
    span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = 7
    span.attributes.add(key="b").value.bytes_value = b"\x00\x01"
    span.attributes.add(key="e")
    record = from_protobuf(message.SerializeToString())
    made = record["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert [a["value"] for a in made["attributes"][1:]] == [
        {"doubleValue": "NaN"},
        {"intValue": "7"},
        {"bytesValue": "AAE="},
        {},
    ]
    request = Read("otlp", record).request
    assert (request.id, request.time) == (
        f"{TRACE}-{SPAN}",
        "2026-11-20T10:34:35.954321+00:00",
    )
    assert request.inputs == {"messages": [{"role": "user", "content": "Hi"}]}
    assert (request.usage, request.raw) == ({"input_tokens": 7}, made)


def test_a_body_that_is_no_protobuf() -> None:
    with pytest.raises(DataError, match="ExportTraceServiceRequest in protobuf, got 5 bytes"):
        from_protobuf(b"\xff\xff\xff\xff\xff")


def test_without_the_extra_protobuf_names_what_to_install() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from upturn.errors import MissingExtraError\n"
        "from upturn.importers.otlp import from_protobuf\n"
        "try: from_protobuf(b'')\n"
        "except MissingExtraError as error: print(error.fix)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "pip install 'upturn[collect]'\n"
