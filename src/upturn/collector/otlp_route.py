"""``POST /v1/traces``: what an OpenTelemetry exporter sends, answered the way OTLP asks for.

Success has status 200 and says in ``partial_success`` what was not taken; a failure carries a
``google.rpc.Status``. Exporters repeat a request after 429 and 503, and never after 400.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from upturn.collector.accept import Acceptance, Batch
from upturn.collector.endpoint import Call, Door
from upturn.collector.replies import JSON_TYPE, RefusedError, Reply
from upturn.collector.writer import Writer
from upturn.errors import DataError
from upturn.events import Event
from upturn.importers.base import RejectedError, Rejection
from upturn.importers.registry import importer
from upturn.records import Json

PROTOBUF_TYPE = b"application/x-protobuf"
#: HTTP status -> the gRPC code that a Status carries.
_CODES = {400: 3, 401: 16, 403: 7, 413: 8, 415: 3, 429: 8, 503: 14}


@dataclass(kw_only=True)
class _Read:
    """What a body held: events, and why parts of it are not usable."""

    batch: Batch = field(default_factory=Batch)
    rejections: list[str] = field(default_factory=list)


class OtlpRoute:
    """Answers trace exports in protobuf and in JSON."""

    def __init__(self, door: Door, acceptance: Acceptance, writer: Writer) -> None:
        self._door = door
        self._acceptance = acceptance
        self._writer = writer

    async def __call__(self, call: Call) -> Reply:
        """Returns the answer when the call's spans are durable."""
        read = await self._door.work(len(call.body), lambda: self._read(call))
        self._door.charge(call.token, read.batch)
        conflicts = await self._writer.write(read.batch) if read.batch.events else []
        faults = [f"{f.field} {f.rule}" for f in read.batch.faults]
        faults += [f"{c['id']}: {c['reason']}" for c in conflicts]
        self._door.metrics.events(
            "traces",
            accepted=len(read.batch.events) - len(conflicts),
            rejected=len(read.batch.faults) + len(read.rejections),
            conflicts=len(conflicts),
        )
        return _success(_is_json(call.content_type), read.rejections + faults)

    def _read(self, call: Call) -> _Read:
        record, read = _record(call), _Read()
        events: list[tuple[int, Event]] = []
        try:
            for index, found in enumerate(importer("otlp").events(record)):
                if isinstance(found, Rejection):
                    read.rejections.append(str(found))
                else:
                    events.append((index, found))
        except RejectedError as error:
            raise RefusedError(400, str(error.rejection)) from None
        if len(events) > self._door.limits.events:
            rule = f"a body must hold at most {self._door.limits.events} events, got {len(events)}"
            raise RefusedError(413, rule, fix="set OTEL_BSP_MAX_EXPORT_BATCH_SIZE lower")
        read.batch = self._acceptance.imported(events, call.token.programs)
        return read


def refuse(error: RefusedError, content_type: bytes) -> Reply:
    """Returns a refusal as a ``google.rpc.Status``, in the encoding of the request."""
    code = _CODES.get(error.status, 2)
    text = f"{error.rule}; {error.fix}" if error.fix else error.rule
    if _is_json(content_type):
        body, kind = orjson.dumps({"code": code, "message": text}), JSON_TYPE
    else:
        body, kind = _number(1, code) + _bytes(2, text.encode()), PROTOBUF_TYPE
    return Reply(error.status, body, kind, error.retry_after_s)


def _record(call: Call) -> Mapping[str, Json]:
    if _is_json(call.content_type):
        try:
            value = orjson.loads(call.body)
        except orjson.JSONDecodeError as error:
            raise RefusedError(400, f"the body must be OTLP JSON, got: {error}") from None
        if not isinstance(value, dict):
            raise RefusedError(400, "the body must be one JSON object with resourceSpans")
        return value
    if call.content_type.partition(b";")[0].strip().lower() != PROTOBUF_TYPE:
        kind = call.content_type.decode("latin-1")[:60]
        rule = f"the content type must be application/x-protobuf or application/json, got {kind!r}"
        raise RefusedError(415, rule)
    from upturn.importers.otlp import from_protobuf

    try:
        return from_protobuf(call.body)
    except DataError as error:
        raise RefusedError(400, error.what, fix=error.fix) from error


def _success(as_json: bool, rejections: list[str]) -> Reply:
    if not rejections:
        return Reply(200, b"{}", JSON_TYPE) if as_json else Reply(200, b"", PROTOBUF_TYPE)
    text = "; ".join(rejections[:5]) + (" …" if len(rejections) > 5 else "")
    if as_json:
        # int64 is a text in protobuf's JSON.
        partial = {"rejectedSpans": str(len(rejections)), "errorMessage": text}
        return Reply(200, orjson.dumps({"partialSuccess": partial}), JSON_TYPE)
    partial_success = _number(1, len(rejections)) + _bytes(2, text.encode())
    return Reply(200, _bytes(1, partial_success), PROTOBUF_TYPE)


def _is_json(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip().lower() == JSON_TYPE


def _number(field_number: int, value: int) -> bytes:
    """Returns an integer field of a protobuf message (wire type 0)."""
    return bytes([field_number << 3]) + _varint(value)


def _bytes(field_number: int, value: bytes) -> bytes:
    """Returns a length-delimited field of a protobuf message (wire type 2)."""
    return bytes([field_number << 3 | 2]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
