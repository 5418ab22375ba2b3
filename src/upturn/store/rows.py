"""Events as rows of the tables, and back.

A row is a tuple in the order of the table's columns: a million of them are written, and a dict or
an object for each would cost more than the database does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from upturn.errors import DataError
from upturn.events import Event, Feedback, Purpose, Request, Role, Signal
from upturn.records import Json
from upturn.store.tables import FeedbackRow, RequestRow, table
from upturn.store.texts import (
    clean,
    dump,
    dump_or_none,
    fingerprint,
    key_of,
    load,
    load_or_none,
    number,
    utc,
)

Values = tuple[Any, ...]
E = TypeVar("E", Request, Feedback)

#: A longer name does not fit PostgreSQL's index; no program has one.
MAX_PROGRAM = 500

_SIGNALS = {str(s): s for s in Signal}
_ROLES = {str(r): r for r in Role}
#: Column -> its place in a row.
REQUEST_AT = {c.name: i for i, c in enumerate(table(RequestRow).columns)}
FEEDBACK_AT = {c.name: i for i, c in enumerate(table(FeedbackRow).columns)}


def broken_rule(event: Event) -> str:
    """Returns the rule of the store that an event breaks, with what was found; "" for none.

    Everything else that an importer lets through can be stored. :meth:`FeedbackStore.add` raises
    for such an event and stores nothing of its batch, so callers ask first.
    """
    try:
        row_of(event, "")
    except DataError as error:
        return error.what
    return ""


def row_of(event: Event, received_at: str) -> Values:
    """Returns an event's row.

    Raises:
        DataError: it breaks a rule; see :func:`broken_rule`.
    """
    try:
        if isinstance(event, Request):
            return _request_row(event, received_at)
        return _feedback_row(event, received_at)
    except DataError as error:
        raise DataError(error.what, where=f"event {event.id[:100]!r}") from None


def _request_row(r: Request, received_at: str) -> Values:
    time, latency_ms, cost_usd = utc(r.time), number(r.latency_ms), number(r.cost_usd)
    said = _said(r, time, latency_ms, cost_usd)
    content, as_it_is = fingerprint(said)
    if not as_it_is:
        r = _cleaned(r, ("user", "session", "parent", "version", "model", "error"))
        content, _ = fingerprint(_said(r, time, latency_ms, cost_usd))
    if not r.id:
        raise DataError("id must be a non-empty text, got an empty one")
    if len(r.program) > MAX_PROGRAM:
        raise DataError(f"program must have at most {MAX_PROGRAM} characters, got {len(r.program)}")
    return (
        *(key_of(r.id), r.id, time, r.program, r.user, r.session, r.parent, r.version, r.model),
        *(latency_ms, cost_usd, r.error, dump(r.inputs), dump(r.outputs), dump_or_none(r.usage)),
        *(dump(r.slices), dump_or_none(r.consent), clean(r.origin), dump_or_none(r.raw)),
        *(content, received_at),
    )


def _said(r: Request, time: str, latency_ms: float | None, cost_usd: float | None) -> Json:
    return (
        *(r.id, time, r.program, r.user, r.session, r.parent, r.version, r.model, latency_ms),
        *(cost_usd, r.error, r.inputs, r.outputs, r.usage, r.slices, r.consent),
    )


def _feedback_row(f: Feedback, received_at: str) -> Values:
    time = utc(f.time)
    content, as_it_is = fingerprint(_told(f, time))
    if not as_it_is:
        f = _cleaned(f, ("request_id", "rater", "comment", "name"))
        content, _ = fingerprint(_told(f, time))
    if not f.id or not f.request_id:
        raise DataError("id and request_id must be non-empty texts, got an empty one")
    return (
        *(key_of(f.id), f.id, key_of(f.request_id), f.request_id, time, str(f.signal)),
        *(dump_or_none(f.value), f.rater, str(f.role), f.comment, f.name, f.program),
        *(dump_or_none(f.consent), clean(f.origin), dump_or_none(f.raw), content, received_at),
    )


def _told(f: Feedback, time: str) -> Json:
    return (
        *(f.id, f.request_id, time, f.signal, f.value, f.rater, f.role, f.comment, f.name),
        *(f.program, f.consent),
    )


def _cleaned(event: E, names: tuple[str, ...]) -> E:
    """Returns an event whose texts both databases take; what is inside JSON stays as it is."""
    texts = {name: getattr(event, name) for name in ("id", "program", *names)}
    changes: dict[str, Any] = {k: clean(v) for k, v in texts.items() if v is not None}
    return replace(event, **changes)


def request_of(row: Sequence[Any]) -> Request:
    """Returns the request that a row holds; its columns stand in their order."""
    _, id_, time, program, user, session, parent, version, model, latency_ms, cost_usd = row[:11]
    error, inputs, outputs, usage, slices, consent, origin, raw = row[11:19]
    return Request(
        id=id_,
        time=time,
        program=program,
        inputs=load(inputs),
        outputs=load(outputs),
        user=user,
        version=version,
        model=model,
        session=session,
        parent=parent,
        latency_ms=latency_ms,
        usage=load_or_none(usage),
        cost_usd=cost_usd,
        error=error,
        slices=load(slices),
        consent=_purposes(consent),
        origin=origin,
        raw=load_or_none(raw),
    )


def feedback_of(row: Sequence[Any]) -> Feedback:
    """Returns the feedback that a row holds; its columns stand in their order."""
    _, id_, _, request_id, time, signal, value, rater, role = row[:9]
    comment, name, program, consent, origin, raw = row[9:15]
    return Feedback(
        id=id_,
        request_id=request_id,
        time=time,
        signal=_SIGNALS[signal],
        value=load_or_none(value),
        rater=rater,
        role=_ROLES[role],
        comment=comment,
        name=name,
        program=program,
        consent=_purposes(consent),
        origin=origin,
        raw=load_or_none(raw),
    )


def _purposes(text: str | None) -> tuple[Purpose, ...] | None:
    return None if text is None else tuple(map(Purpose, load(text)))
