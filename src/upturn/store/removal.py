"""Deletes content: what somebody asked to be forgotten, and what is too old."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select

from upturn.events import EPOCH
from upturn.store.records import Forgotten
from upturn.store.tables import FeedbackRow, RequestRow, table
from upturn.store.texts import clean, key_of
from upturn.store.tombstones import bury, chunks, matching, retain_from

_REQUESTS, _FEEDBACK = table(RequestRow), table(FeedbackRow)
#: The tables that hold content.
CONTENT = (_REQUESTS, _FEEDBACK)


def forget(
    connection: Connection,
    *,
    request_ids: Iterable[str],
    users: Iterable[str],
    raters: Iterable[str],
) -> Forgotten:
    """Deletes requests with their steps and feedback, and writes the tombstones."""
    named, users, raters = (set(map(clean, ids)) for ids in (request_ids, users, raters))
    gone = named | matching(connection, _REQUESTS.c.id, _REQUESTS.c.user, users)
    fresh: Collection[str] = gone
    while fresh:
        # A step holds what its request held. Sets end a circle of parents, too.
        fresh = matching(connection, _REQUESTS.c.id, _REQUESTS.c.parent, fresh) - gone
        gone |= fresh
    keys = {key_of(i) for i in gone}
    spoken = matching(connection, _FEEDBACK.c.id, _FEEDBACK.c.request_key, keys)
    spoken |= matching(connection, _FEEDBACK.c.id, _FEEDBACK.c.rater, raters)
    for kind, ids in (("request", gone), ("feedback", spoken), ("user", users), ("rater", raters)):
        bury(connection, kind, ids)
    return Forgotten(
        request_ids=tuple(sorted(gone)),
        feedback_ids=tuple(sorted(spoken)),
        requests=_delete(connection, RequestRow, keys),
        feedback=_delete(connection, FeedbackRow, {key_of(i) for i in spoken}),
    )


def expire(connection: Connection, before: str) -> int:
    """Deletes events older than a time, with the feedback on them; returns how many.

    An event without a time of its own is as old as its arrival.
    """
    retain_from(connection, before)
    old = select(_REQUESTS.c.key).where(_older(_REQUESTS, before))
    on_old = _FEEDBACK.c.request_key.in_(old)
    feedback = delete(_FEEDBACK).where(or_(on_old, _older(_FEEDBACK, before)))
    requests = delete(_REQUESTS).where(_older(_REQUESTS, before))
    return connection.execute(feedback).rowcount + connection.execute(requests).rowcount


def _older(target: Any, before: str) -> ColumnElement[bool]:
    known = and_(target.c.time != EPOCH, target.c.time < before)
    return or_(known, and_(target.c.time == EPOCH, target.c.received_at < before))


def _delete(connection: Connection, model: type[RequestRow | FeedbackRow], keys: set[bytes]) -> int:
    target = table(model)
    return sum(
        connection.execute(delete(target).where(target.c.key.in_(some))).rowcount
        for some in chunks(sorted(keys))
    )
