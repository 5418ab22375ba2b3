"""Feedback of LangSmith: one record may say several things, each becomes one event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from upturn.events import Feedback, Role, Signal
from upturn.events.problems import found, one_of
from upturn.importers._reading import Outcome
from upturn.importers.base import RejectedError
from upturn.importers.fields import (
    decoded,
    fields,
    iso_time,
    mapping,
    number,
    optional_text,
    text,
)
from upturn.records import Json

_ROLES = {
    "api": Role.CUSTOMER,
    "app": Role.CUSTOMER,
    "annotation_queue": Role.REVIEWER,
    "model": Role.JUDGE,
    "auto_eval": Role.JUDGE,
}
_QUEUE = ("annotation_queue", "annotation_queue_id", "queue_id")
_SCORED = frozenset({"score", "value"})


@dataclass(frozen=True, slots=True)
class _Said:
    """One thing that a record says; ``role`` where it is not that of the record's source."""

    part: str
    signal: Signal
    value: Json
    role: Role | None = None


def feedback(r: Mapping[str, Json]) -> Iterator[Outcome]:
    """Yields an event for each thing that a record says, and a rejection for what is unusable.

    Raises:
        RejectedError: what every event needs (id, run, time, key, source) cannot be read.
    """
    source = mapping(r, "feedback_source")
    kind = optional_text(source, "type") or "api"
    user = optional_text(source, "user_id")
    common = _Common(
        id=text(r, "id"),
        request_id=optional_text(r, "run_id") or text(r, "trace_id"),
        time=iso_time(r.get("created_at"), "created_at"),
        name=text(r, "key"),
        rater=user or f"langsmith:{kind}",
        role=_role(source, kind),
        comment=optional_text(r, "comment"),
        raw=r,
    )
    first = True
    for read in _readers(r):
        try:
            said = read()
        except RejectedError as error:
            yield error.rejection
            continue
        yield _event(common, said, first)
        first = False
    # The words of whoever said something unusable can still be read.
    if first and common.comment:
        yield _event(common, _Said("comment", Signal.COMMENT, None), first)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    id: str
    request_id: str
    time: str
    name: str
    rater: str
    role: Role
    comment: str | None
    raw: Mapping[str, Json]


def _event(common: _Common, said: _Said, first: bool) -> Feedback:
    return Feedback(
        id=common.id if first else f"{common.id}/{said.part}",
        request_id=common.request_id,
        time=common.time,
        signal=said.signal,
        value=said.value,
        # Whoever corrects a judge's score is not that judge.
        rater=common.rater if said.role is None else f"langsmith:{said.part}",
        role=said.role or common.role,
        comment=common.comment if first else None,
        name=common.name,
        origin="langsmith",
        raw=common.raw,
    )


def _role(source: Mapping[str, Json], kind: str) -> Role:
    metadata = mapping(source, "metadata")
    if any(metadata.get(key) for key in _QUEUE):
        return Role.REVIEWER
    if kind not in _ROLES:
        raise RejectedError("feedback_source.type", one_of(_ROLES, kind))
    return _ROLES[kind]


def _readers(r: Mapping[str, Json]) -> list[Callable[[], _Said]]:
    readers: list[Callable[[], _Said]] = []
    scored = _is_said(r.get("score"))
    if scored:
        readers.append(partial(_score, r["score"], "score"))
    value = r.get("value")
    # A number beside a score is the same measurement, and must not count twice.
    if _is_said(value) and not (scored and isinstance(value, int | float)):
        readers.append(partial(_value, value))
    correction = decoded(r.get("correction"))
    if _is_said(correction):
        readers.append(partial(_correction, correction, bool(readers)))
    return readers if readers or r.get("comment") else [partial(_nothing, r)]


def _is_said(value: Json) -> bool:
    return value is not None and value not in ("", {}, [])


def _score(value: Json, field: str) -> _Said:
    if isinstance(value, bool):
        return _Said(field, Signal.THUMBS, value)
    return _Said(field, Signal.SCORE, number(value, field))


def _value(value: Json) -> _Said:
    if isinstance(value, str):
        return _Said("value", Signal.CATEGORY, value)
    if isinstance(value, int | float):
        return _score(value, "value")
    raise RejectedError("value", f"must be true, false, a number or a text, got {found(value)}")


def _correction(value: Json, judged: bool) -> _Said:
    if judged and isinstance(value, dict) and set(value) <= _SCORED:
        said = _score(value["score"], "score") if "score" in value else _value(value["value"])
        return _Said("correction", said.signal, said.value, Role.REVIEWER)
    return _Said("correction", Signal.CORRECTION, fields(value, "output"))


def _nothing(r: Mapping[str, Json]) -> _Said:
    rule = f"must be there, or a value, a correction or a comment; got {found(r.get('score'))}"
    raise RejectedError("score", rule)
