"""Weave: calls of its trace server, and the feedback on them.

Feedback comes alone, in an answer of the API, or inside the call it speaks of
(``summary.weave.feedback``). The W&B user of a call is who logged it, not who asked, so a call's
user is what its attributes say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from math import fsum
from typing import ClassVar

from upturn.events import EPOCH, Feedback, Request, Role, Signal
from upturn.events.problems import found
from upturn.importers._judged import Voice, is_page, judged, known_time, thumb_of, within, without
from upturn.importers._reading import Outcome, each, first_text, labels, loose, tokens
from upturn.importers.base import RejectedError
from upturn.importers.fields import (
    fields,
    mapping,
    milliseconds,
    optional_amount,
    optional_text,
    optional_time,
    salvage,
    text,
)
from upturn.records import Json

_USER = ("user_id", "user")
_SESSION = ("session_id", "conversation_id")
_ANNOTATION, _RUNNABLE = "wandb.annotation.", "wandb.runnable."
_REASONS = ("reason", "comment", "note", "explanation")
_PAGES = ("result", "calls")
_REACTION, _NOTE = "wandb.reaction.1", "wandb.note.1"


class WeaveImporter:
    """Reads calls and feedback.

    A thumb is a thumb, another emoji the category ``reaction``; notes are comments; annotations,
    runnables (scorers) and types of one's own are read by the type of each value. Notes and
    annotations are a reviewer's, runnables a program's, the others the application's user's.
    """

    name: ClassVar[str] = "weave"
    title: ClassVar[str] = "W&B Weave"

    def recognises(self, record: Mapping[str, Json]) -> bool:
        """Whether a record is a call, feedback, or an answer of the API that holds them."""
        return _is_ours(record) or any(is_page(record, key, _is_ours) for key in _PAGES)

    def events(self, record: Mapping[str, Json]) -> Iterable[Outcome]:
        """Returns the request of a call and the feedback in it, or what feedback says."""
        if _is_call(record):
            return salvage([lambda: _call(record)])
        page = next((key for key in _PAGES if isinstance(record.get(key), list)), None)
        if page is not None and not _is_ours(record):
            return each(record, page, self.events)
        return salvage([lambda: _feedback(record, None, None)])


def _is_call(row: Mapping[str, Json]) -> bool:
    return "op_name" in row and "started_at" in row


def _is_ours(row: Mapping[str, Json]) -> bool:
    return _is_call(row) or ("feedback_type" in row and ("weave_ref" in row or "call_ref" in row))


def _call(row: Mapping[str, Json]) -> Iterator[Outcome]:
    identity, time = text(row, "id"), known_time(row, "ended_at", "started_at")
    summary = loose(loose(row.get("summary")).get("weave"))
    parts: list[Callable[[], Iterable[Outcome]]] = [
        lambda: [_request(row, identity)],
        lambda: within(
            "summary.weave",
            lambda: each(summary, "feedback", lambda f: _feedback(f, identity, time)),
        ),
    ]
    yield from salvage(parts)


def _request(row: Mapping[str, Json], identity: str) -> Request:
    start = optional_time(row, "started_at")
    summary, attributes = loose(row.get("summary")), loose(row.get("attributes"))
    weave, by_model = loose(summary.get("weave")), loose(summary.get("usage"))
    inputs = fields(row.get("inputs"), "input")
    program, version = _op(text(row, "op_name"))
    error = optional_text(row, "exception")
    passed = milliseconds(start, optional_time(row, "ended_at"))
    known = (*_USER, *_SESSION, "weave")
    return Request(
        id=identity,
        time=start or EPOCH,
        program=program,
        inputs=inputs,
        outputs={} if error else fields(row.get("output"), "output"),
        user=first_text(attributes, *_USER),
        version=version,
        model=first_text(inputs, "model") or next(iter(by_model), None),
        session=optional_text(row, "thread_id") or first_text(attributes, *_SESSION),
        parent=optional_text(row, "parent_id"),
        latency_ms=optional_amount(weave, "latency_ms") if passed is None else passed,
        usage=tokens(_total(by_model)),
        cost_usd=_cost(loose(weave.get("costs"))),
        error=error,
        slices=labels(without(attributes, *known), None),
        origin=WeaveImporter.name,
        raw=row,
    )


def _op(name: str) -> tuple[str, str | None]:
    """Returns name and version in ``weave:///entity/project/op/name:version``."""
    plain = name.rpartition("/op/")[2]
    program, _, version = plain.partition(":") if "/op/" in name else (name, "", "")
    return program or name, version or None


def _total(by_model: Mapping[str, Json]) -> dict[str, Json]:
    """Returns the tokens of all models a call used, by kind; requests are no tokens."""
    total: dict[str, Json] = {}
    for usage in by_model.values():
        for kind, count in (tokens(without(loose(usage), "requests")) or {}).items():
            total[kind] = total.get(kind, 0) + count
    return total


def _cost(by_model: Mapping[str, Json]) -> float | None:
    keys = ("prompt_tokens_total_cost", "completion_tokens_total_cost")
    costs = [optional_amount(loose(c), key) for c in by_model.values() for key in keys]
    known = [c for c in costs if c is not None]
    return fsum(known) if known else None


def _feedback(row: Mapping[str, Json], call: str | None, time: str | None) -> Iterator[Outcome]:
    kind = text(row, "feedback_type")
    role = _role(kind)
    # A scorer is its own rater: the W&B user is who ran it.
    keys = ("creator",) if role is Role.SYSTEM else ("creator", "wb_user_id")
    voice = Voice(
        origin=WeaveImporter.name,
        request_id=_target(row) or call or text(row, "weave_ref"),
        rater=optional_text(row, *keys) or f"{WeaveImporter.name}:{kind}",
        role=role,
        raw=row,
        time=optional_time(row, "created_at") or time,
    )
    identity, payload = optional_text(row, "id"), mapping(row, "payload")
    if kind == _REACTION:
        yield _reaction(voice, payload, identity)
    elif kind == _NOTE:
        yield voice.comments(_text(payload, "note"), id=identity)
    else:
        yield from _values(voice, kind, payload, identity)


def _role(kind: str) -> Role:
    if kind.startswith(_RUNNABLE):
        return Role.SYSTEM
    return Role.REVIEWER if kind == _NOTE or kind.startswith(_ANNOTATION) else Role.CUSTOMER


def _target(row: Mapping[str, Json]) -> str | None:
    """Returns the id of the call that feedback is about; a runnable's ``call_ref`` is its own."""
    ref = optional_text(row, "weave_ref", "call_ref")
    if ref is None:
        return None
    _, is_call, rest = ref.partition("/call/")
    identity = rest.partition("/")[0]
    if not is_call or not identity:
        raise RejectedError("weave_ref", f"must name a call, got {found(ref)}")
    return identity


def _reaction(voice: Voice, payload: Mapping[str, Json], identity: str | None) -> Feedback:
    emoji = _text(payload, "emoji")
    thumb = thumb_of(emoji)
    if thumb is not None:
        return voice.says(Signal.THUMBS, thumb, id=identity)
    plain = first_text(payload, "detoned") or emoji
    return voice.says(Signal.CATEGORY, plain, id=identity, name="reaction")


def _text(payload: Mapping[str, Json], key: str) -> str:
    value = payload.get(key)
    if isinstance(value, str) and value:
        return value
    raise RejectedError(f"payload.{key}", f"must be a non-empty text, got {found(value)}")


def _values(
    voice: Voice, kind: str, payload: Mapping[str, Json], identity: str | None
) -> Iterator[Outcome]:
    """Yields what a payload says: its one value, or one event for each key of an object."""
    name = kind.removeprefix(_ANNOTATION).removeprefix(_RUNNABLE)
    key = next((k for k in ("value", "output") if k in payload), "")
    value = payload[key] if key else payload
    if kind.startswith(_ANNOTATION):
        value = _unwrapped(value, name)
    place = f"payload.{key}" if key else "payload"
    if value is None or value in ("", {}, []):
        raise RejectedError(place, f"must hold a value, got {found(value)}")
    if not isinstance(value, dict):
        said = replace(voice, comment=first_text(payload, *_REASONS)) if key else voice
        yield from judged(said, name, value, id=identity, field=place)
        return
    for part, inner in value.items():
        # Several events of one object: each is named by what it says, and not by the object's id.
        yield from within(
            f"{place}.{part}",
            lambda p=part, v=inner: judged(voice, f"{name}.{p}", v, field=""),
        )


def _unwrapped(value: Json, name: str) -> Json:
    """Returns the value that the UI wraps as ``{name: {version of the annotation: value}}``."""
    if isinstance(value, dict) and list(value) == [name]:
        value = value[name]
        if isinstance(value, dict) and len(value) == 1:
            return next(iter(value.values()))
    return value


IMPORTER = WeaveImporter()
