"""What must not come back: hashes of forgotten ids, and all events older than a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, insert, select

from upturn.events import EPOCH
from upturn.store.dialect import insert_new
from upturn.store.rows import FEEDBACK_AT, REQUEST_AT, Values
from upturn.store.tables import FeedbackRow, MarkRow, RequestRow, TombstoneRow, table
from upturn.store.texts import tombstone

T = TypeVar("T")

#: The mark that holds the time before which events are refused.
RETENTION = "events_before_are_refused"
#: How many keys one query asks for; more cost more to compile than they save.
CHUNK = 500

_R, _F = REQUEST_AT, FEEDBACK_AT


@dataclass(kw_only=True)
class Refused:
    """Keys of a batch's rows that must not be stored."""

    requests: set[bytes] = field(default_factory=set)
    feedback: set[bytes] = field(default_factory=set)


def refused(
    connection: Connection, requests: Mapping[bytes, Values], feedback: Mapping[bytes, Values]
) -> Refused:
    """Returns what of a batch must not come back.

    A request goes if its id, its user or its parent is forgotten, or its parent goes; feedback if
    its id, its rater or its request is. What goes gets a tombstone of its own, so that steps of it
    and feedback on it, which name nothing else, cannot come back later either.
    """
    before = retained_from(connection)
    away = Refused()
    if before:
        away.requests = {k for k, r in requests.items() if EPOCH != r[_R["time"]] < before}
        away.feedback = {k for k, f in feedback.items() if EPOCH != f[_F["time"]] < before}
    first = connection.execute(select(TombstoneRow.hash).limit(1)).first()
    if first is not None:
        _refuse_forgotten(connection, requests, feedback, away)
    return away


def _refuse_forgotten(
    connection: Connection,
    requests: Mapping[bytes, Values],
    feedback: Mapping[bytes, Values],
    away: Refused,
) -> None:
    asked = {k: set(_request_names(r)) for k, r in requests.items()}
    spoken = {k: set(_feedback_names(f)) for k, f in feedback.items()}
    names = set[bytes]().union(*asked.values(), *spoken.values())
    gone = matching(connection, TombstoneRow.hash, TombstoneRow.hash, names)
    if not gone:
        return
    went = _with_steps(requests, [k for k, named in asked.items() if named & gone])
    ids = {requests[k][_R["id"]] for k in went}
    away.requests |= went
    away.feedback |= {k for k, f in feedback.items() if f[_F["request_id"]] in ids}
    away.feedback |= {k for k, named in spoken.items() if named & gone}
    _spread(connection, {k: requests[k] for k in went})


def _with_steps(requests: Mapping[bytes, Values], keys: Iterable[bytes]) -> set[bytes]:
    """Returns requests of a batch with their steps, and the steps of these."""
    steps: dict[str, list[bytes]] = {}
    for key, row in requests.items():
        steps.setdefault(row[_R["parent"]], []).append(key)
    found, waiting = set[bytes](), list(keys)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += steps.get(requests[key][_R["id"]], ())
    return found


def _spread(connection: Connection, requests: Mapping[bytes, Values]) -> None:
    """Buries refused requests, with feedback that came before them.

    What is stored under such an id is another event, which nobody asked to be forgotten: an event
    that names a forgotten user must not be able to remove it.
    """
    stored = matching(connection, RequestRow.key, RequestRow.key, requests)
    absent = requests.keys() - stored
    bury(connection, "request", (requests[k][_R["id"]] for k in absent))
    for some in chunks(sorted(absent)):
        connection.execute(delete(FeedbackRow).where(FeedbackRow.request_key.in_(some)))


def _request_names(row: Values) -> Iterator[bytes]:
    yield tombstone("request", row[_R["id"]])
    if row[_R["user"]] is not None:
        yield tombstone("user", row[_R["user"]])
    if row[_R["parent"]] is not None:
        yield tombstone("request", row[_R["parent"]])


def _feedback_names(row: Values) -> Iterator[bytes]:
    yield tombstone("feedback", row[_F["id"]])
    yield tombstone("request", row[_F["request_id"]])
    yield tombstone("rater", row[_F["rater"]])


def bury(connection: Connection, kind: str, ids: Iterable[str]) -> None:
    """Writes tombstones for ids of a kind: request, feedback, user or rater."""
    rows = sorted({(tombstone(kind, i), kind) for i in ids})
    insert_new(connection, table(TombstoneRow), rows)


def retained_from(connection: Connection) -> str:
    """Returns the time before which events are refused, "" where none are."""
    query = select(MarkRow.value).where(MarkRow.name == RETENTION)
    return connection.execute(query).scalar() or ""


def retain_from(connection: Connection, before: str) -> None:
    """Refuses events before a time from now on. It only ever moves forward."""
    latest = max(before, retained_from(connection))
    connection.execute(delete(MarkRow).where(MarkRow.name == RETENTION))
    connection.execute(insert(MarkRow).values(name=RETENTION, value=latest))


def matching(connection: Connection, wanted: Any, column: Any, values: Iterable[Any]) -> set[Any]:
    """Returns a column of the rows in which another column has one of some values."""
    found: set[Any] = set()
    for some in chunks(sorted(values)):
        found.update(connection.scalars(select(wanted).where(column.in_(some))))
    return found


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Yields values in pieces of a size."""
    rest = iter(values)
    while piece := list(islice(rest, size)):
        yield piece
