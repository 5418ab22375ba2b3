"""Adds events in one transaction: each is new, a duplicate, a conflict or forgotten."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from upturn.events import Event, Request
from upturn.store.dialect import insert_new
from upturn.store.records import Added, Conflict
from upturn.store.rows import FEEDBACK_AT, REQUEST_AT, Values, feedback_of, request_of, row_of
from upturn.store.tables import FeedbackRow, RequestRow, table
from upturn.store.tombstones import chunks, refused

_MODEL = {"request": RequestRow, "feedback": FeedbackRow}
_HASH = {"request": REQUEST_AT["hash"], "feedback": FEEDBACK_AT["hash"]}


@dataclass(kw_only=True)
class Batch:
    """Events as rows.

    Attributes:
        requests, feedback: key -> row; the first event of an id stands for it.
        repeats: (kind, row) of every further one.
    """

    requests: dict[bytes, Values] = field(default_factory=dict)
    feedback: dict[bytes, Values] = field(default_factory=dict)
    repeats: list[tuple[str, Values]] = field(default_factory=list)


def batch_of(events: Sequence[Event], received_at: str) -> Batch:
    """Returns a batch of events.

    Raises:
        DataError: an event breaks a rule of the store.
    """
    batch = Batch()
    for event in events:
        row = row_of(event, received_at)
        is_request = isinstance(event, Request)
        rows = batch.requests if is_request else batch.feedback
        if rows.setdefault(row[0], row) is not row:
            batch.repeats.append(("request" if is_request else "feedback", row))
    return batch


def add(connection: Connection, batch: Batch) -> Added:
    """Stores what is new of a batch, in the connection's transaction."""
    away = refused(connection, batch.requests, batch.feedback)
    requests = _store(connection, "request", batch.requests, away.requests)
    feedback = _store(connection, "feedback", batch.feedback, away.feedback)
    by_kind = {"request": requests, "feedback": feedback}
    for kind, row in batch.repeats:
        by_kind[kind].take(row)
    return Added(
        requests=requests.new,
        feedback=feedback.new,
        duplicates=requests.duplicates + feedback.duplicates,
        conflicts=(*requests.conflicts, *feedback.conflicts),
        forgotten=requests.forgotten + feedback.forgotten,
    )


@dataclass(kw_only=True)
class _Outcome:
    """What became of a batch's events of one kind.

    Attributes:
        stands: key -> the row that stands for it, in the store now; None where it was refused.
    """

    kind: str
    new: int
    stands: dict[bytes, Values | None]
    duplicates: int = 0
    conflicts: list[Conflict] = field(default_factory=list)
    forgotten: int = 0

    def take(self, row: Values) -> None:
        """Counts an event that is not new."""
        stored, at = self.stands[row[0]], _HASH[self.kind]
        if stored is None:
            self.forgotten += 1
        elif stored[at] == row[at]:
            self.duplicates += 1
        else:
            self.conflicts.append(_conflict(self.kind, stored, row))


def _store(
    connection: Connection, kind: str, rows: dict[bytes, Values], away: Collection[bytes]
) -> _Outcome:
    # In the order of keys: neighbours share a page, and two writers never wait for each other in
    # a circle.
    keys = sorted(k for k in rows if k not in away)
    new = insert_new(connection, table(_MODEL[kind]), [rows[key] for key in keys])
    # Whatever was there has its own hash, and what was inserted has ours: only others differ.
    other = _differing(connection, kind, rows, keys) if new < len(keys) else {}
    stands = {**rows, **other, **dict.fromkeys(away)}
    outcome = _Outcome(kind=kind, new=new, stands=stands, forgotten=len(away))
    for key in other:
        outcome.take(rows[key])
    outcome.duplicates += len(keys) - new - len(other)
    return outcome


def _differing(
    connection: Connection, kind: str, rows: dict[bytes, Values], keys: Sequence[bytes]
) -> dict[bytes, Values]:
    """Returns the stored rows that differ from those of a batch."""
    target, at = table(_MODEL[kind]), _HASH[kind]
    found: dict[bytes, Values] = {}
    for some in chunks(keys):
        query = select(target.c.key, target.c.hash).where(target.c.key.in_(some))
        held = connection.execute(query).all()
        if other := [key for key, content in held if content != rows[key][at]]:
            whole = connection.execute(select(target).where(target.c.key.in_(other)))
            found |= {row[0]: tuple(row) for row in whole}
    return found


def _conflict(kind: str, stored: Sequence[object], row: Sequence[object]) -> Conflict:
    event_of = request_of if kind == "request" else feedback_of
    mine, theirs = event_of(row).to_json(), event_of(stored).to_json()
    names = sorted(k for k in mine.keys() | theirs.keys() if mine.get(k) != theirs.get(k))
    return Conflict(
        kind=kind, id=str(row[1]), reason=f"differs from the stored one in {', '.join(names)}"
    )
