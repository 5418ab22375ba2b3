"""GenAI semantic conventions of OpenTelemetry, new and old, as fields of a request.

What a model was told and what it answered stands, by age of the instrumentation, in

- ``gen_ai.input.messages`` and ``gen_ai.output.messages`` (messages of parts), on the span or on an
  event ``gen_ai.client.inference.operation.details``;
- events ``gen_ai.user.message``, ``gen_ai.choice`` and their like, whose content may be JSON in
  ``gen_ai.event.content``;
- ``gen_ai.prompt`` and ``gen_ai.completion`` (JSON or text), on events ``gen_ai.content.*`` too;
- ``gen_ai.prompt.<n>.role`` and ``gen_ai.completion.<n>.content``.

The first that is there counts. Tools and retrievals have attributes of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from upturn.importers._chat import answer, message
from upturn.importers._reading import loose, tokens
from upturn.importers.fields import decoded, fields, is_messages
from upturn.records import Json

Attributes = Mapping[str, Json]
#: Name and attributes of each event of a span.
Events = Sequence[tuple[str, Attributes]]

_DETAILS = frozenset(
    (
        *("gen_ai.client.inference.operation.details", "gen_ai.content.prompt"),
        "gen_ai.content.completion",
    )
)
_SPOKEN = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}
#: Where operations that are no chat, and frameworks that are older than the conventions, put it.
_INPUTS = (
    *("gen_ai.tool.call.arguments", "gen_ai.retrieval.query.text"),
    *("input.value", "traceloop.entity.input", "mlflow.spanInputs"),
)
_OUTPUTS = (
    *("gen_ai.tool.call.result", "gen_ai.retrieval.documents"),
    *("output.value", "traceloop.entity.output", "mlflow.spanOutputs"),
)
_USAGE = "gen_ai.usage."


def inputs(span: Attributes, events: Events) -> dict[str, Json]:
    """Returns ``{"messages": […]}``, or the fields of what is no chat; {} where nothing is told."""
    given = _with_details(span, events)
    told = _messages(given.get("gen_ai.input.messages"))
    told = told or [_spoken(_SPOKEN[n], a) for n, a in events if n in _SPOKEN]
    told = told or _old(given, "gen_ai.prompt")
    rules = _system(given.get("gen_ai.system_instructions"))
    if told or rules:
        return {"messages": rules + told}
    return _first(given, (*_INPUTS, "gen_ai.prompt"), "input")


def outputs(span: Attributes, events: Events) -> dict[str, Json]:
    """Returns the answer as output fields; {} where nothing is told."""
    given = _with_details(span, events)
    said = _messages(given.get("gen_ai.output.messages"))
    said = said or [_choice(a) for n, a in events if n == "gen_ai.choice"]
    said = said or _old(given, "gen_ai.completion")
    return answer(said) if said else _first(given, (*_OUTPUTS, "gen_ai.completion"), "output")


def usage(span: Attributes) -> dict[str, int] | None:
    """Returns tokens by kind, under the newer names."""
    found = {k[len(_USAGE) :]: v for k, v in span.items() if k.startswith(_USAGE)}
    found.pop("cost", None)
    return tokens(found)


def _with_details(span: Attributes, events: Events) -> Attributes:
    details = [attributes for name, attributes in events if name in _DETAILS]
    merged: dict[str, Json] = {}
    for values in (*details, span):
        merged.update(values)
    return merged if details else span


def _messages(value: Json) -> list[dict[str, Json]]:
    value = decoded(value)
    return [message(m) for m in _objects(value)]


def _objects(value: Json) -> Iterable[dict[str, Json]]:
    members = cast(list[Json], value) if isinstance(value, list) else [value]
    return (cast(dict[str, Json], m) for m in members if isinstance(m, dict) and m)


def _system(value: Json) -> list[dict[str, Json]]:
    value = decoded(value)
    return [message({"role": "system", "content": value})] if value else []


def _old(given: Attributes, prefix: str) -> list[dict[str, Json]]:
    """Returns messages under ``<prefix>.<n>.<key>``, or of the JSON list under ``prefix``."""
    listed = decoded(given.get(prefix))
    if is_messages(listed):
        return [message(m) for m in listed]
    return [_flat(m) for m in indexed(given, f"{prefix}.")]


def _flat(value: Attributes) -> dict[str, Json]:
    calls = indexed(value, "tool_calls.")
    rest = {k: decoded(v) for k, v in value.items() if not k.startswith("tool_calls.")}
    return message(rest) | ({"tool_calls": calls} if calls else {})


def indexed(values: Attributes, prefix: str) -> list[dict[str, Json]]:
    """Returns the objects that flat keys ``<prefix><n>.<name>`` spell, by n."""
    found: dict[int, dict[str, Json]] = {}
    for key, value in values.items():
        if key.startswith(prefix):
            place, _, name = key[len(prefix) :].partition(".")
            if place.isdecimal() and len(place) <= 6 and name:
                found.setdefault(int(place), {})[name] = value
    return [found[place] for place in sorted(found)]


def _body(attributes: Attributes) -> Attributes:
    return loose(attributes.get("gen_ai.event.content")) or attributes


def _spoken(role: str, attributes: Attributes) -> dict[str, Json]:
    body = _body(attributes)
    kept = {k: decoded(body[k]) for k in ("content", "tool_calls", "id") if k in body}
    return message({"role": role, **kept})


def _choice(attributes: Attributes) -> dict[str, Json]:
    body = _body(attributes)
    inner = decoded(body.get("message"))
    if isinstance(inner, dict):
        return {"role": "assistant", **message(cast(dict[str, Json], inner))}
    content = inner if inner is not None else decoded(body.get("content"))
    calls = decoded(body.get("tool_calls"))
    more = {"tool_calls": calls} if calls else {}
    return message({"role": "assistant", "content": content, **more})


def _first(given: Attributes, keys: Iterable[str], name: str) -> dict[str, Json]:
    for key in keys:
        value = given.get(key)
        if value is not None and value != "":
            return fields(value, name)
    return {}
