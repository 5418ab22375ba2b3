"""The answers that were paid for, on disk: none is ever paid twice.

One SQLite file in WAL mode. Each answer is committed on its own before the caller sees it, so a
killed process loses only what was in flight. Safe for many threads and several processes.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from upturn.errors import CorruptionError, StorageError
from upturn.records import content_hash

#: Version of the table's layout, kept in ``PRAGMA user_version``.
SCHEMA_VERSION = 1

_CREATE = """
create table if not exists answers (
    key text primary key, text text not null, finish_reason text not null,
    input_tokens integer not null, output_tokens integer not null,
    latency_s real not null, cost_usd real not null,
    turn text not null, created_s real not null, sha256 text not null
) without rowid
"""
_COLUMNS = "text, finish_reason, input_tokens, output_tokens, latency_s, cost_usd"
_REPAIR = "upturn doctor --repair-cache"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer of a model, as it is stored.

    Attributes:
        text: the answer.
        finish_reason: "stop", "length", "content_filter" or "error".
        input_tokens, output_tokens: as reported; 0 where unknown.
        latency_s, cost_usd: of the call that was paid.
    """

    text: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    latency_s: float
    cost_usd: float


class AnswerCache:
    """Request key -> answer, in one SQLite file.

    Args:
        path: the file; made with its folder where it does not exist.
        turn: id of the turn that pays for new answers, for ``spent``.
        clock: seconds since the epoch, for the time a row was written.
        max_pages: most database pages (4,096 bytes each); None for no limit.

    Raises:
        CorruptionError: the file is no SQLite database, or its pages are broken.
        StorageError: the folder cannot be written, or another version made the file.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        turn: str = "",
        clock: Callable[[], float] = time.time,
        max_pages: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.turn = turn
        self._clock = clock
        self._lock = threading.Lock()
        with self._translated():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=30, check_same_thread=False)
        try:
            self._open(max_pages)
        except BaseException:
            self._db.close()
            raise

    def _open(self, max_pages: int | None) -> None:
        with self._translated():
            version = self._db.execute("pragma user_version").fetchone()[0]
            n_tables = self._db.execute("select count(*) from sqlite_master").fetchone()[0]
            if version != SCHEMA_VERSION and (version or n_tables):
                raise StorageError(
                    f"the cache's version must be {SCHEMA_VERSION}, got {version}",
                    where=str(self.path),
                    fix=f"use the upturn that made it, or: mv {self.path} {self.path}.old",
                )
            self._db.execute("pragma journal_mode=wal")
            # With WAL, NORMAL keeps every commit through a kill of the process; only a power cut
            # can lose the last ones, and then the file stays whole.
            self._db.execute("pragma synchronous=normal")
            if max_pages is not None:
                self._db.execute(f"pragma max_page_count={int(max_pages)}")
            with self._db:
                self._db.execute(_CREATE)
                self._db.execute(f"pragma user_version={SCHEMA_VERSION}")

    def get(self, key: str) -> Answer | None:
        """Returns the answer under a key, or None.

        Raises:
            CorruptionError: the row does not match its hash.
        """
        with self._lock, self._translated():
            row = self._db.execute(
                f"select {_COLUMNS}, turn, sha256 from answers where key = ?", (key,)
            ).fetchone()
        return None if row is None else self._checked(key, row)

    def put(self, key: str, answer: Answer) -> None:
        """Stores an answer durably; a key that is there already keeps its answer.

        Raises:
            StorageError: the disk is full or read-only.
        """
        row = (key, *astuple(answer), self.turn, self._clock(), _sha256(key, answer, self.turn))
        with self._lock, self._translated(), self._db:
            self._db.execute(
                "insert into answers values (?,?,?,?,?,?,?,?,?,?) on conflict do nothing", row
            )

    def spent(self, turn: str) -> tuple[int, float]:
        """Returns how many calls a turn has paid, and their cost in US dollars."""
        with self._lock, self._translated():
            calls, usd = self._db.execute(
                "select count(*), coalesce(sum(cost_usd), 0.0) from answers where turn = ?", (turn,)
            ).fetchone()
        return int(calls), float(usd)

    def __len__(self) -> int:
        with self._lock, self._translated():
            return int(self._db.execute("select count(*) from answers").fetchone()[0])

    def drop_broken(self) -> int:
        """Deletes the rows that do not match their hash; returns how many.

        Raises:
            CorruptionError: the file itself is broken; ``repair`` moves such a file aside.
        """
        dropped = 0
        with self._lock, self._translated(), self._db:
            rows = self._db.execute(f"select key, {_COLUMNS}, turn, sha256 from answers").fetchall()
            for key, *row in rows:
                if _sha256(key, _answer(row), row[-2]) != row[-1]:
                    self._db.execute("delete from answers where key = ?", (key,))
                    dropped += 1
        return dropped

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def __enter__(self) -> AnswerCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checked(self, key: str, row: Sequence[Any]) -> Answer:
        answer = _answer(row)
        if _sha256(key, answer, row[-2]) != row[-1]:
            raise CorruptionError(
                f"the answer under key {key} must match its sha256, and does not",
                where=str(self.path),
                fix=_REPAIR,
            )
        return answer

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _translate(error, self.path) from error
        except OSError as error:
            raise StorageError(
                f"the cache's folder must be writable ({error.strerror})", where=str(self.path)
            ) from error


def repair(path: Path | str) -> tuple[int, Path | None]:
    """Drops what is broken in a cache, keeping the rest.

    Returns:
        How many rows were dropped, and where the file was moved if it could not be read at all.
    """
    path = Path(path)
    try:
        with AnswerCache(path) as cache:
            return cache.drop_broken(), None
    except CorruptionError:
        aside = path.with_name(f"{path.name}.corrupt-{int(time.time())}")
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return 0, aside


def _answer(row: Sequence[Any]) -> Answer:
    return Answer(**dict(zip(_COLUMNS.split(", "), row, strict=False)))


def _sha256(key: str, answer: Answer, turn: str) -> str:
    return content_hash([key, *map(str, astuple(answer)), turn])


def _translate(error: sqlite3.Error, path: Path) -> StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return CorruptionError(
            f"the cache must be a whole SQLite file ({error})", where=str(path), fix=_REPAIR
        )
    rules = {
        sqlite3.SQLITE_FULL: "the disk must have room for the cache",
        sqlite3.SQLITE_READONLY: "the cache must be writable",
        sqlite3.SQLITE_CANTOPEN: "the cache's folder must exist and be writable",
        sqlite3.SQLITE_IOERR: "the disk must be readable and writable",
        sqlite3.SQLITE_BUSY: "no other process may hold the cache longer than 30 s",
    }
    fixes = {
        sqlite3.SQLITE_FULL: f"df -h {path.parent}",
        sqlite3.SQLITE_IOERR: f"df -h {path.parent}",
        sqlite3.SQLITE_BUSY: "stop the other run, then run again",
    }
    rule = rules.get(code, "the cache must be usable")
    return StorageError(
        f"{rule} ({error})", where=str(path), fix=fixes.get(code, f"ls -ld {path.parent}")
    )
