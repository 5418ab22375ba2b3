"""One span, or one log record, of OTLP/JSON as events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

from upturn.events import Request
from upturn.importers._genai import inputs, outputs, usage
from upturn.importers._genai_evaluation import EVENT, evaluation, is_evaluation
from upturn.importers._otlp_values import attributes, hex_id
from upturn.importers._reading import Outcome, as_object, first_text, labels, loose, placed
from upturn.importers.base import RejectedError, Rejection
from upturn.importers.fields import (
    iso_time,
    items,
    number,
    optional_amount,
    optional_text,
    salvage,
    text,
)
from upturn.records import Json

Attributes = Mapping[str, Json]
_RESPONSE = "gen_ai.response.id"
_USER = ("user.id", "enduser.id", "enduser.pseudo.id")
_SESSION = ("gen_ai.conversation.id", "session.id")
#: Attributes about the machinery; everything else that is short may tell rows apart.
_TECHNICAL = (
    *("gen_ai.", "http.", "url.", "net.", "network.", "server.", "client.", "rpc.", "db.", "code."),
    *("thread.", "process.", "os.", "host.", "telemetry.", "exception.", "error.", "otel.", "llm."),
    *("user.", "enduser.", "session.", "user_agent.", "mlflow.", "traceloop.", "input.", "output."),
)
_TOLD = {
    "provider": ("gen_ai.provider.name", "gen_ai.system"),
    "operation": ("gen_ai.operation.name",),
    "prompt": ("gen_ai.prompt.name",),
    "agent": ("gen_ai.agent.name",),
    "tool": ("gen_ai.tool.name",),
}
_RESOURCE = {
    "service": ("service.name",),
    "environment": ("deployment.environment.name", "deployment.environment"),
}


@dataclass(frozen=True, slots=True)
class _Happened:
    """One event of a span: its place, the event, and its attributes."""

    place: str
    event: Attributes
    said: dict[str, Json]

    @property
    def name(self) -> str:
        return str(self.event.get("name"))


def span_outcomes(resource: Attributes, span: Mapping[str, Json]) -> Iterator[Outcome]:
    """Yields the request of a span, and feedback for each evaluation that it carries."""
    told = attributes(span)
    happened, rejections = _happened(span)
    yield from rejections
    yield from salvage([partial(_request, resource, told, happened, span)])
    if is_evaluation(told):
        yield from salvage([partial(_own_evaluation, told, span)])
    for one in happened:
        if one.name == EVENT:
            yield from _within(one.place, partial(_event_evaluation, told, span, one))


def _happened(span: Attributes) -> tuple[list[_Happened], list[Rejection]]:
    """Returns the events of a span; one that cannot be read leaves the span and the others."""
    good: list[_Happened] = []
    bad: list[Rejection] = []
    for index, value in enumerate(items(span, "events")):
        place = f"events[{index}]"
        try:
            event = as_object(value)
            good.append(_Happened(place, event, attributes(event)))
        except RejectedError as error:
            bad.append(placed(error.rejection, place))
    return good, bad


def _within(place: str, part: Callable[[], Iterator[Outcome]]) -> Iterator[Outcome]:
    for outcome in salvage([part]):
        yield placed(outcome, place) if isinstance(outcome, Rejection) else outcome


def _request(
    resource: Attributes, told: Attributes, happened: list[_Happened], span: Attributes
) -> Iterator[Request]:
    parent = optional_text(span, "parentSpanId")
    spoken = [(e.name, e.said) for e in happened]
    start = span.get("startTimeUnixNano")
    error = _error(span, told, spoken)
    yield Request(
        id=_id(span, "spanId"),
        time=iso_time(start, "startTimeUnixNano"),
        program=text(span, "name"),
        inputs=inputs(told, spoken),
        outputs={} if error else outputs(told, spoken),
        user=first_text(told, *_USER),
        session=first_text(told, *_SESSION),
        version=_version(resource, told),
        model=first_text(told, "gen_ai.response.model", "gen_ai.request.model"),
        parent=_id(span, "parentSpanId") if parent and parent.strip("0") else None,
        latency_ms=_passed_ms(start, span.get("endTimeUnixNano")),
        usage=usage(told),
        cost_usd=optional_amount(told, "gen_ai.usage.cost"),
        error=error,
        slices=_slices(resource, told),
        origin="otlp",
        raw=span,
    )


def _id(span: Attributes, key: str) -> str:
    return f"{hex_id(span.get('traceId'), 16, 'traceId')}-{hex_id(span.get(key), 8, key)}"


def _passed_ms(start: Json, end: Json) -> float | None:
    if end in (None, "", 0, "0"):
        return None
    passed = _whole(end, "endTimeUnixNano") - _whole(start, "startTimeUnixNano")
    return max(0.0, passed / 1e6)


def _whole(value: Json, field: str) -> float:
    """Digits are read as they are: a float has no room for nanoseconds since 1970."""
    return int(value) if isinstance(value, str) and value.isdecimal() else number(value, field)


def _version(resource: Attributes, told: Attributes) -> str | None:
    prompt = first_text(told, "gen_ai.prompt.name")
    version = first_text(told, "gen_ai.prompt.version")
    of_prompt = f"{prompt}@{version}" if prompt and version else None
    stated = first_text(told, "gen_ai.agent.version")
    return stated or of_prompt or first_text(resource, "service.version")


def _error(
    span: Attributes, told: Attributes, spoken: list[tuple[str, dict[str, Json]]]
) -> str | None:
    status = loose(span.get("status"))
    if status.get("code") not in (2, "2", "STATUS_CODE_ERROR"):
        return None
    thrown = [first_text(a, "exception.message") for n, a in spoken if n == "exception"]
    said = first_text(status, "message") or next(filter(None, thrown), None)
    return said or first_text(told, "error.type") or "ERROR"


def _slices(resource: Attributes, told: Attributes) -> dict[str, str]:
    known = {name: first_text(told, *keys) for name, keys in _TOLD.items()}
    known |= {name: first_text(resource, *keys) for name, keys in _RESOURCE.items()}
    own = {k: v for k, v in told.items() if isinstance(v, str) and _is_own(k)}
    return labels(own, None, **known)


@lru_cache(maxsize=4096)
def _is_own(key: str) -> bool:
    return not key.startswith(_TECHNICAL)


def _own_evaluation(told: Attributes, span: Attributes) -> Iterator[Outcome]:
    time = iso_time(span.get("endTimeUnixNano"), "endTimeUnixNano")
    yield from evaluation(_judged(told, span), time, told, span)


def _judged(told: Attributes, span: Attributes) -> str:
    """Returns what an evaluation on a span's own attributes speaks of."""
    if span.get("name") == EVENT and span.get("parentSpanId"):
        return _id(span, "parentSpanId")
    identity = _id(span, "spanId")
    if "gen_ai.request.model" in told or "gen_ai.output.messages" in told:
        return identity
    return first_text(told, _RESPONSE) or identity


def _event_evaluation(told: Attributes, span: Attributes, one: _Happened) -> Iterator[Outcome]:
    time = iso_time(one.event.get("timeUnixNano"), "timeUnixNano")
    named, own = first_text(one.said, _RESPONSE), first_text(told, _RESPONSE)
    about = named if named and own and named != own else _id(span, "spanId")
    yield from evaluation(about, time, one.said, one.event)


def record_evaluation(record: Mapping[str, Json]) -> Iterator[Outcome]:
    """Yields the feedback of a log record; nothing where it is no evaluation."""
    said = attributes(record)
    if EVENT not in (record.get("eventName"), said.get("event.name")):
        return
    stated = record.get("timeUnixNano")
    time = record.get("observedTimeUnixNano") if stated in (None, "", 0, "0") else stated
    about = _id(record, "spanId") if record.get("spanId") else text(said, _RESPONSE)
    yield from evaluation(about, iso_time(time, "timeUnixNano"), said, record)
