"""The feedback store: append-only events in SQLite or PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from sqlalchemy import URL, Connection

from upturn.errors import StorageError
from upturn.events import Event, Feedback, Request
from upturn.events.source import Exposure
from upturn.store import adding, checkpoints, reading, removal
from upturn.store.dialect import address, compact, connect, file_of, opening
from upturn.store.records import Added, Checkpoint, Forgotten, StoreCounts
from upturn.store.schema import prepare
from upturn.store.texts import utc
from upturn.store.transactions import WAITS_S, Transactions


def _now() -> datetime:
    return datetime.now(UTC)


class FeedbackStore:
    """Requests and feedback, each event once, in whatever order they come.

    Several processes and threads may use one store at once; readers never wait for writers. Every
    method may raise StorageError (the disk is full, the server is away, another process holds the
    store); nothing is half-written then, and the same call may be made again. Use :meth:`open`.

    What holds for texts, on both databases, says :mod:`upturn.store.texts`.
    """

    def __init__(
        self, transactions: Transactions, *, where: str, clock: Callable[[], datetime]
    ) -> None:
        self._transactions = transactions
        self._where = where
        self._clock = clock

    @classmethod
    def open(
        cls,
        url: str,
        *,
        create: bool = True,
        clock: Callable[[], datetime] = _now,
        sleep: Callable[[float], object] = time.sleep,
        patience_s: float = 60.0,
    ) -> Self:
        """Opens a store and brings its schema up to date.

        Args:
            url: ``sqlite:///PATH``, a plain path, or ``postgresql+psycopg://USER@HOST/DATABASE``.
            create: makes a store that does not exist; otherwise that is an error.
            clock: the time now, with zone: when events were received.
            sleep: waits between tries.
            patience_s: how long to wait for another process's lock, in seconds.

        Raises:
            ConfigError: the url names neither a file nor PostgreSQL.
            StorageError: there is no store, a newer version made it, or it cannot be used.
            MissingExtraError: the driver for PostgreSQL is not installed.
        """
        parsed = address(url)
        where = _shown(parsed)
        path = file_of(parsed)
        if path is not None and not create and not path.exists():
            raise StorageError(
                "the store must exist, there is none",
                where=where,
                fix=f"upturn ingest FILE --store '{where}', or mend the name",
            )
        # Each try waits for its part.
        engine = connect(parsed, patience_s=patience_s / (len(WAITS_S) + 1))
        transactions = Transactions(engine, where=where, sleep=sleep)
        store = cls(transactions, where=where, clock=clock)
        try:
            with opening(parsed):
                transactions.attempt(lambda: prepare(engine, create=create, where=where))
        except BaseException:
            store.close()
            raise
        return store

    @property
    def where(self) -> str:
        """The store's address, without a password."""
        return self._where

    def close(self) -> None:
        """Closes all connections. A reader that is still being iterated ends its own."""
        self._transactions.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add(
        self,
        events: Sequence[Event],
        *,
        checkpoint: Checkpoint | Callable[[Added], Checkpoint] | None = None,
    ) -> Added:
        """Stores events and, with them, how far their source was read.

        One transaction: when this returns, all of it is on disk; when it raises, nothing is. The
        larger the batch, the cheaper an event; 5,000 is a good size.

        The same event again (same id, same content, whatever its ``raw`` and ``origin``) is a
        duplicate. Another event of an id that is taken is a conflict, and the first one stands.

        Args:
            events: in any order.
            checkpoint: how far their source was read now; or a function that says so, given what
                became of the events (it is asked again where a try failed).

        Returns:
            What became of the events. A try that was lost with its connection may have been
            committed: the events of its repetition then count as duplicates.

        Raises:
            DataError: an event breaks a rule of the store (:func:`upturn.store.broken_rule`).
        """
        received_at = self._clock().astimezone(UTC).isoformat()
        batch = adding.batch_of(events, received_at)

        def work(connection: Connection) -> Added:
            added = adding.add(connection, batch)
            told = checkpoint(added) if callable(checkpoint) else checkpoint
            if told is not None:
                checkpoints.write(connection, told, received_at)
            return added

        return self._transactions.write(work)

    def request(self, id: str) -> Request | None:
        """Returns a request, None where there is none of that id."""
        return self._transactions.read(lambda connection: reading.request(connection, id))

    def feedback_on(self, request_id: str) -> tuple[Feedback, ...]:
        """Returns the feedback on a request by (time, id), whether the request is there or not."""
        return self._transactions.read(
            lambda connection: reading.feedback_on(connection, request_id)
        )

    def requests(self, *, program: str | None = None, user: str | None = None) -> Iterator[Request]:
        """Yields requests by id, of one program or user where asked."""
        return self._transactions.stream(
            lambda connection: reading.requests(connection, program=program, user=user)
        )

    def joined(
        self, *, program: str | None = None
    ) -> Iterator[tuple[Request, tuple[Feedback, ...]]]:
        """Yields each request that has feedback, by id, with that feedback by (time, id)."""
        return self._transactions.stream(
            lambda connection: reading.joined(connection, program=program)
        )

    def exposures(self, *, program: str | None = None) -> Iterator[Exposure]:
        """Yields every request in short, by id."""
        return self._transactions.stream(
            lambda connection: reading.exposures(connection, program=program)
        )

    def counts(self, *, program: str | None = None) -> StoreCounts:
        """Counts the events, of one program where asked."""
        return self._transactions.read(
            lambda connection: reading.counts(connection, program=program)
        )

    def checkpoint(self, source: str) -> Checkpoint | None:
        """Returns how far a source was read, None where that was never said."""
        return self._transactions.read(lambda connection: checkpoints.read(connection, source))

    def clear_checkpoint(self, source: str) -> None:
        """Forgets how far a source was read."""
        self._transactions.write(lambda connection: checkpoints.clear(connection, source))

    def forget(
        self,
        *,
        request_ids: Iterable[str] = (),
        users: Iterable[str] = (),
        raters: Iterable[str] = (),
    ) -> Forgotten:
        """Removes requests with their steps and feedback, and all feedback of raters, for good.

        Their content leaves the database's files, too: SQLite's file is written anew, PostgreSQL
        vacuums its tables (its own log and backups keep what they have). Tombstones, which hold
        hashes only, keep the events from coming back. May be repeated at any time.

        Args:
            request_ids: requests, whether they are stored or not.
            users: all requests of these users.
            raters: all feedback that these gave.
        """
        named = tuple(request_ids), tuple(users), tuple(raters)

        def work(connection: Connection) -> Forgotten:
            return removal.forget(connection, request_ids=named[0], users=named[1], raters=named[2])

        forgotten = self._transactions.write(work, alone=True)
        self._compact()
        return forgotten

    def expire(self, before: str) -> int:
        """Removes events older than a time, and refuses them from now on.

        Feedback goes with its request. An event whose format has no time is as old as its arrival.

        Args:
            before: ISO 8601 with a zone.

        Returns:
            How many events were removed.
        """
        limit = utc(before)
        removed = self._transactions.write(
            lambda connection: removal.expire(connection, limit), alone=True
        )
        self._compact()
        return removed

    def _compact(self) -> None:
        engine = self._transactions.engine
        self._transactions.attempt(lambda: compact(engine, removal.CONTENT))


def _shown(url: URL) -> str:
    path = file_of(url)
    return str(path) if path is not None else url.render_as_string(hide_password=True)
