"""Runs work in transactions: whole, tried again where that helps, its errors in our words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from upturn.store.dialect import reading, writing
from upturn.store.failures import is_transient, storage_errors

T = TypeVar("T")

#: Seconds to wait before each new try, after a lock or a lost connection.
WAITS_S = (0.1, 0.4, 1.6, 3.2)


class Transactions:
    """One store's transactions. Every method may raise StorageError; nothing is half-done then.

    Args:
        engine: from :func:`upturn.store.dialect.connect`.
        where: the store's address for errors, without a password.
        sleep: waits between tries, in seconds.
    """

    def __init__(self, engine: Engine, *, where: str, sleep: Callable[[float], object]) -> None:
        self.engine = engine
        self._where = where
        self._sleep = sleep

    def write(self, work: Callable[[Connection], T], *, alone: bool = False) -> T:
        """Runs work that writes, and commits it; ``alone`` keeps every other writer out."""

        def once() -> T:
            with writing(self.engine, alone=alone) as connection:
                return work(connection)

        return self.attempt(once)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Runs work that reads one state of the store."""

        def once() -> T:
            with reading(self.engine) as connection:
                return work(connection)

        return self.attempt(once)

    def stream(self, work: Callable[[Connection], Iterator[T]]) -> Iterator[T]:
        """Yields what work yields, from one state of the store."""
        # No second try: what was yielded cannot be taken back.
        with storage_errors(self._where), reading(self.engine) as connection:
            yield from work(connection)

    def attempt(self, work: Callable[[], T]) -> T:
        """Runs a whole transaction, again where a lock or a lost connection ended it."""
        with storage_errors(self._where):
            for wait_s in WAITS_S:
                try:
                    return work()
                except DBAPIError as error:
                    if not is_transient(error):
                        raise
                self._sleep(wait_s)
            return work()
