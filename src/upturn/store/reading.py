"""Reads events in the order of ids, streamed: memory holds a few hundred of them at a time.

The database sorts whole rows, in a temporary file where they are many: that is several times
faster than fetching each row by its id, which lies somewhere else in the table each time. Each
reader sees the store as it was when it began.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, func, select

from upturn.events import Feedback, Request
from upturn.events.source import Exposure
from upturn.store.records import StoreCounts
from upturn.store.rows import feedback_of, request_of
from upturn.store.tables import FeedbackRow, RequestRow, table
from upturn.store.texts import clean, key_of, load

_REQUESTS, _FEEDBACK = table(RequestRow), table(FeedbackRow)
_AT_ONCE = 500  # rows in memory
_Query = Select[*tuple[Any, ...]]
# What an event is made of; the last two columns are the store's own.
_A_REQUEST = select(*list(_REQUESTS.columns)[:-2])
_A_FEEDBACK = select(*list(_FEEDBACK.columns)[:-2])


def request(connection: Connection, request_id: str) -> Request | None:
    """Returns a request, None where there is none of that id."""
    query = _A_REQUEST.where(_REQUESTS.c.key == key_of(clean(request_id)))
    row = connection.execute(query).first()
    return None if row is None else request_of(row)


def feedback_on(connection: Connection, request_id: str) -> tuple[Feedback, ...]:
    """Returns the feedback on a request by (time, id), whether the request is there or not."""
    query = _A_FEEDBACK.where(_FEEDBACK.c.request_key == key_of(clean(request_id)))
    query = query.order_by(_FEEDBACK.c.time, _FEEDBACK.c.id)
    return tuple(map(feedback_of, connection.execute(query)))


def requests(connection: Connection, *, program: str | None, user: str | None) -> Iterator[Request]:
    """Yields requests by id."""
    query = _of(_A_REQUEST, program).order_by(_REQUESTS.c.id)
    if user is not None:
        query = query.where(_REQUESTS.c.user == clean(user))
    yield from map(request_of, _streamed(connection, query))


def joined(
    connection: Connection, *, program: str | None
) -> Iterator[tuple[Request, tuple[Feedback, ...]]]:
    """Yields the requests that have feedback, by id, with it: a merge of two sorted streams."""
    r, f = _REQUESTS.c, _FEEDBACK.c
    asked = _of(_A_REQUEST, program).where(r.key.in_(select(f.request_key))).order_by(r.id)
    told = _A_FEEDBACK.order_by(f.request_id, f.time, f.id)
    if program is not None:
        told = told.where(exists().where(r.key == f.request_key, r.program == clean(program)))
    by_request = itemgetter(f.keys().index("request_id"))
    groups = groupby(_streamed(connection, told), by_request)
    for row in _streamed(connection, asked):
        request = request_of(row)
        # Groups that are passed over are feedback whose request never came.
        for request_id, some in groups:
            if request_id == request.id:
                yield request, tuple(map(feedback_of, some))
                break


def exposures(connection: Connection, *, program: str | None) -> Iterator[Exposure]:
    """Yields all requests in short, by id."""
    c = _REQUESTS.c
    query = select(c.id, c.time, c.user, c.session, c.version, c.model, c.slices)
    query = query.add_columns(_has_feedback(), c.error.is_not(None))
    for row in _streamed(connection, _of(query, program).order_by(c.id)):
        id_, time, user, session, version, model, slices, has_feedback, error = row
        yield Exposure(
            id=id_,
            time=time,
            user=user,
            session=session,
            version=version,
            model=model,
            slices=load(slices),
            has_feedback=bool(has_feedback),
            error=bool(error),
        )


def counts(connection: Connection, *, program: str | None) -> StoreCounts:
    """Counts the events."""
    c = _REQUESTS.c
    grouped = _of(select(c.program, func.count()), program).group_by(c.program)
    programs = dict[str, int](map(tuple, connection.execute(grouped.order_by(c.program))))
    known = exists().where(c.key == _FEEDBACK.c.request_key)
    lost = select(func.count()).select_from(_FEEDBACK).where(~known)
    if program is None:
        feedback = connection.scalar(select(func.count()).select_from(_FEEDBACK))
        orphans = connection.scalar(lost)
    else:
        pairs = _REQUESTS.join(_FEEDBACK, c.key == _FEEDBACK.c.request_key)
        attached = connection.scalar(_of(select(func.count()).select_from(pairs), program))
        orphans = connection.scalar(lost.where(_FEEDBACK.c.program == clean(program)))
        feedback = (attached or 0) + (orphans or 0)
    return StoreCounts(
        requests=sum(programs.values()),
        feedback=feedback or 0,
        orphans=orphans or 0,
        programs=programs,
    )


def _of(query: _Query, program: str | None) -> _Query:
    return query if program is None else query.where(_REQUESTS.c.program == clean(program))


def _has_feedback() -> ColumnElement[bool]:
    return exists().where(_FEEDBACK.c.request_key == _REQUESTS.c.key)


def _streamed(connection: Connection, query: _Query) -> Iterator[Any]:
    # Closed by name: a reader that is left half-way would leave the server's cursor open.
    with connection.execute(query, execution_options={"yield_per": _AT_ONCE}) as rows:
        yield from rows
