"""Phoenix: spans with OpenInference attributes, and annotations of spans, traces and sessions.

Both come from the API (objects, or pages of them under ``data``) and from data frames, whose
columns are the same names with dots. An annotation of a trace or a session names that as its
request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import ClassVar

from upturn.events import EPOCH, Feedback, Request, Role
from upturn.events.problems import one_of
from upturn.importers._chat import answer, message
from upturn.importers._judged import Voice, is_page, judged, known_time, thumb_of, without
from upturn.importers._reading import Outcome, each, first_text, labels, loose, tokens
from upturn.importers.base import RejectedError
from upturn.importers.fields import (
    derived_id,
    fields,
    milliseconds,
    optional_amount,
    optional_number,
    optional_text,
    optional_time,
    salvage,
    text,
)
from upturn.records import Json

_PAGE = "data"
_CONVENTION = ("openinference.", "llm.", "input.", "output.", "attributes.")
_TARGETS = ("span_id", "trace_id", "session_id")
_USER = ("user_id", "user")


class PhoenixImporter:
    """Reads spans and annotations.

    A label of thumbs is a thumb; score and label of one annotation are a score and a category; an
    explanation alone is a comment. HUMAN annotations are a reviewer's, or the application's user's
    where the API sent them; LLM is a judge, CODE a program.
    """

    name: ClassVar[str] = "phoenix"
    title: ClassVar[str] = "Arize Phoenix"

    def recognises(self, record: Mapping[str, Json]) -> bool:
        """Whether a record is a span, an annotation, or a page of them."""
        return _is_ours(record) or is_page(record, _PAGE, _is_ours)

    def events(self, record: Mapping[str, Json]) -> Iterable[Outcome]:
        """Returns the request of a span with the annotations in it, or what one says."""
        if not _is_ours(record) and isinstance(record.get(_PAGE), list):
            return each(record, _PAGE, self.events)
        if _is_annotation(record):
            return salvage([lambda: _annotation(record, None, None)])
        return salvage([lambda: _span(record)])


def _is_annotation(row: Mapping[str, Json]) -> bool:
    return "annotator_kind" in row and any(key in row for key in _TARGETS)


def _is_ours(row: Mapping[str, Json]) -> bool:
    if _is_annotation(row):
        return True
    context = row.get("context")
    named = "context.span_id" in row or (isinstance(context, dict) and "span_id" in context)
    attributes = row.get("attributes")
    keys = attributes if isinstance(attributes, dict) else row
    ours = any(k.startswith(_CONVENTION) or k == "openinference" for k in keys)
    return named and (ours or "span_kind" in row)


def _span(row: Mapping[str, Json]) -> Iterator[Outcome]:
    span = nested(row)
    context = loose(span.get("context"))
    identity = _hex(text({"context.span_id": context.get("span_id")}, "context.span_id"))
    time = known_time(span, "end_time", "start_time")
    parts: list[Callable[[], Iterable[Outcome]]] = [
        lambda: [_request(span, identity, row)],
        lambda: each(span, "annotations", lambda a: _annotation(a, identity, time)),
    ]
    yield from salvage(parts)


def _request(span: Mapping[str, Json], identity: str, raw: Mapping[str, Json]) -> Request:
    attributes = nested(loose(span.get("attributes")))
    llm, metadata = loose(attributes.get("llm")), loose(attributes.get("metadata"))
    start = optional_time(span, "start_time")
    parent = optional_text(span, "parent_id", "parent_span_id")
    session = first_text(loose(attributes.get("session")), "id")
    error = _error(span)
    kind = optional_text(span, "span_kind") or _kind(attributes)
    return Request(
        id=identity,
        time=start or EPOCH,
        program=optional_text(span, "name") or PhoenixImporter.name,
        inputs=_inputs(llm, attributes),
        outputs={} if error else _outputs(llm, attributes),
        user=first_text(loose(attributes.get("user")), "id") or first_text(metadata, *_USER),
        model=first_text(llm, "model_name"),
        session=session or first_text(metadata, "session_id"),
        parent=_hex(parent) if parent else None,
        latency_ms=milliseconds(start, optional_time(span, "end_time")),
        usage=_usage(loose(llm.get("token_count"))),
        cost_usd=optional_amount(loose(llm.get("cost")), "total"),
        error=error,
        slices=labels(without(metadata, *_USER, "session_id"), None, span_kind=kind),
        origin=PhoenixImporter.name,
        raw=raw,
    )


def _kind(attributes: Mapping[str, Json]) -> str | None:
    return first_text(loose(loose(attributes.get("openinference")).get("span")), "kind")


def _inputs(llm: Mapping[str, Json], attributes: Mapping[str, Json]) -> dict[str, Json]:
    messages = _messages(llm.get("input_messages"))
    value = loose(attributes.get("input")).get("value")
    return {"messages": messages} if messages else fields(value, "input")


def _outputs(llm: Mapping[str, Json], attributes: Mapping[str, Json]) -> dict[str, Json]:
    # The messages come first: ``output.value`` of a model call is the provider's whole response.
    messages = _messages(llm.get("output_messages"))
    value = loose(attributes.get("output")).get("value")
    return answer(messages) if messages else fields(value, "output")


def _messages(values: Json) -> list[dict[str, Json]]:
    """Returns the chat messages that stand as ``[{"message": {…}}, …]``."""
    if not isinstance(values, list):
        return []
    found = [loose(loose(v).get("message")) for v in values]
    return [message(_with_content(m)) for m in found if m]


def _with_content(value: Mapping[str, Json]) -> dict[str, Json]:
    """Returns a message with the texts of its ``contents`` as content."""
    contents = value.get("contents")
    if "content" in value or not isinstance(contents, list):
        return dict(value)
    parts = [loose(loose(c).get("message_content")) for c in contents]
    return {**without(value, "contents"), "content": parts}


def _usage(count: Mapping[str, Json]) -> dict[str, int] | None:
    names = {"prompt": "input", "completion": "output", "total": "total"}
    return tokens({ours: count.get(theirs) for theirs, ours in names.items()})


def _error(span: Mapping[str, Json]) -> str | None:
    status = loose(span.get("status"))
    code = span.get("status_code") or status.get("status_code")
    if code != "ERROR":
        return None
    said = first_text(span, "status_message") or first_text(status, "description", "message")
    return said or "failed"


def _annotation(row: Mapping[str, Json], span: str | None, time: str | None) -> Iterator[Feedback]:
    note = nested(row)
    result = loose(note.get("result")) or note
    kind = optional_text(note, "annotator_kind") or ""
    target = optional_text(note, *_TARGETS) or span or text(note, "span_id")
    voice = Voice(
        origin=PhoenixImporter.name,
        request_id=_hex(target),
        rater=optional_text(note, "user_id", "identifier") or f"{PhoenixImporter.name}:{kind}",
        role=_role(kind, optional_text(note, "source")),
        raw=row,
        time=optional_time(note, "updated_at", "created_at") or time,
        comment=optional_text(result, "explanation"),
    )
    name = optional_text(note, "name", "annotation_name") or text(note, "name")
    yield from _said(voice, name, result, optional_text(note, "id"))


def _said(
    voice: Voice, name: str, result: Mapping[str, Json], identity: str | None
) -> Iterator[Feedback]:
    label = optional_text(result, "label")
    score = optional_number({"result.score": result.get("score")}, "result.score")
    thumb = None if label is None else thumb_of(label)
    if thumb is not None:
        yield from judged(voice, name, thumb, id=identity)
        return
    if score is not None:
        yield from judged(voice, name, score, id=identity)
    if label is not None:
        # Score and label are two events of one annotation, so that the second needs its own id.
        own = identity if score is None or identity is None else derived_id(identity, "label")
        yield from judged(voice, name, [label], id=own)
    elif score is None:
        if voice.comment is None:
            raise RejectedError("result", "must have a score, a label or an explanation, got none")
        yield voice.said(name, id=identity)


def _role(kind: str, source: str | None) -> Role:
    roles = {
        "HUMAN": Role.CUSTOMER if source == "API" else Role.REVIEWER,
        "LLM": Role.JUDGE,
        "CODE": Role.SYSTEM,
    }
    if kind not in roles:
        raise RejectedError("annotator_kind", one_of(roles, kind))
    return roles[kind]


def _hex(identity: str) -> str:
    """Returns an id as annotations name it: the console writes ``0x`` before it."""
    return identity.removeprefix("0x")


def nested(flat: Mapping[str, Json]) -> dict[str, Json]:
    """Returns ``{"a.0.b": 1}`` as ``{"a": [{"b": 1}]}``; what is nested already stays.

    Where two keys contradict (``a`` and ``a.b``), the first one counts.
    """
    tree: dict[str, Json] = {}
    for key, value in flat.items():
        _put(tree, key.split("."), value)
    return {key: _listed(value) for key, value in tree.items()}


def _put(tree: dict[str, Json], path: list[str], value: Json) -> None:
    for part in path[:-1]:
        below = tree.get(part, {})
        if not isinstance(below, dict):
            return
        tree[part] = dict(below)  # a copy, because it may be a part of the record
        tree = tree[part]
    tree.setdefault(path[-1], value)


def _listed(value: Json) -> Json:
    """Returns objects whose keys are numbers, of at most six digits, as lists, at every depth."""
    if not isinstance(value, dict):
        return value
    inner = {k: _listed(v) for k, v in value.items()}
    numbered = bool(inner) and all(k.isdecimal() and k.isascii() and len(k) < 7 for k in inner)
    return [inner[k] for k in sorted(inner, key=int)] if numbered else inner


IMPORTER = PhoenixImporter()
