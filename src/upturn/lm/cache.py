"""The answers that were paid for, on disk: none is ever paid twice.

One SQLite file in WAL mode. Each answer is committed on its own before the caller sees it, so a
killed process loses only what was in flight. Safe for many threads and several processes.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from upturn.errors import CorruptionError
from upturn.lm import cache_care
from upturn.lm.cache_care import CacheStats
from upturn.lm.cache_file import REPAIR, open_file, translated
from upturn.records import content_hash

_COLUMNS = "text, finish_reason, input_tokens, output_tokens, latency_s, cost_usd"
#: Uses that are written down together; what is closer to the last use than an hour is not.
_USES, _GRAIN_S = 256, 3600.0


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
        clock: seconds since the epoch, for the times of writing and of last use.
        max_mb: most megabytes of answers; those that were not used for longest leave first. What
            this cache's turn made or used, and what anybody used within a day, stays in any case.
            None for no limit.
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
        max_mb: float | None = None,
        max_pages: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.turn = turn
        self._clock = clock
        self._lock = threading.Lock()
        self._opened_s = clock()
        self._used: set[str] = set()
        self._hits = self._misses = 0
        self._max_bytes = None if max_mb is None else max_mb * 1e6
        self._db = open_file(self.path, max_pages=max_pages)
        # Above this many bytes something must leave; counted where there is a limit only.
        self._bytes, self._evict_above = 0.0, self._max_bytes or 0.0
        if max_mb is not None:
            with translated(self.path):
                self._bytes = cache_care.content_bytes(self._db)

    def get(self, key: str) -> Answer | None:
        """Returns the answer under a key, or None.

        Raises:
            CorruptionError: the row does not match its hash.
        """
        with self._lock, translated(self.path):
            row = self._db.execute(
                f"select {_COLUMNS}, turn, sha256, max(created_s, last_used_s) "
                "from answers where key = ?",
                (key,),
            ).fetchone()
            if row is None:
                self._misses += 1
                return None
            self._hits += 1
            # Only a turn uses answers; who looks them all through, such as the doctor, does not.
            if self.turn and self._clock() - row[-1] > _GRAIN_S:
                self._note_use(key)
        return self._checked(key, row[:-1])

    def put(self, key: str, answer: Answer) -> None:
        """Stores an answer durably; a key that is there already keeps its answer.

        Raises:
            StorageError: the disk is full or read-only.
        """
        row = (key, *astuple(answer), self.turn, self._clock(), _sha256(key, answer, self.turn))
        with self._lock, translated(self.path):
            with self._db:
                self._db.execute(
                    "insert into answers values (?,?,?,?,?,?,?,?,?,?,0) on conflict do nothing", row
                )
            if self._max_bytes is not None:
                self._bytes += cache_care.answer_bytes(answer.text)
                if self._bytes > self._evict_above:
                    self._make_room(self._max_bytes)

    def spent(self, turn: str) -> tuple[int, float]:
        """Returns how many calls a turn has paid, and their cost in US dollars."""
        with self._lock, translated(self.path):
            calls, usd = self._db.execute(
                "select count(*), coalesce(sum(cost_usd), 0.0) from answers where turn = ?", (turn,)
            ).fetchone()
        return int(calls), float(usd)

    def __len__(self) -> int:
        with self._lock, translated(self.path):
            return int(self._db.execute("select count(*) from answers").fetchone()[0])

    def stats(self) -> CacheStats:
        """Returns what is in the file, and how often this object found something there."""
        with self._lock, translated(self.path):
            return cache_care.stats(self._db, hits=self._hits, misses=self._misses)

    def worth(
        self, *, turn: str | None = None, older_than_s: float | None = None
    ) -> tuple[int, float]:
        """Returns how many answers ``clear`` would delete, and what they cost in US dollars."""
        before_s = None if older_than_s is None else self._clock() - older_than_s
        with self._lock, translated(self.path):
            self._write_uses()
            return cache_care.worth(self._db, turn=turn, before_s=before_s)

    def clear(self, *, turn: str | None = None, older_than_s: float | None = None) -> int:
        """Deletes answers and gives the room back to the disk; without arguments, all of them.

        Args:
            turn: only those that this turn paid for.
            older_than_s: only those that were not used for so many seconds.

        Returns:
            How many were deleted.
        """
        before_s = None if older_than_s is None else self._clock() - older_than_s
        with self._lock, translated(self.path):
            self._write_uses()
            return cache_care.clear(self._db, turn=turn, before_s=before_s)

    def drop_broken(self) -> int:
        """Deletes the rows that do not match their hash; returns how many.

        Raises:
            CorruptionError: the file itself is broken; ``repair`` moves such a file aside.
        """
        dropped = 0
        with self._lock, translated(self.path), self._db:
            rows = self._db.execute(f"select key, {_COLUMNS}, turn, sha256 from answers").fetchall()
            for key, *row in rows:
                if _sha256(key, _answer(row), row[-2]) != row[-1]:
                    self._db.execute("delete from answers where key = ?", (key,))
                    dropped += 1
        return dropped

    def close(self) -> None:
        with self._lock:
            self._write_uses()
            self._db.close()

    def __enter__(self) -> AnswerCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _note_use(self, key: str) -> None:
        self._used.add(key)
        if len(self._used) >= _USES:
            self._write_uses()

    def _write_uses(self) -> None:
        """Writes down what was used. A full disk or a busy file must not cost an answer."""
        rows = [(self._clock(), key) for key in self._used]
        self._used = set()
        with suppress(sqlite3.Error), self._db:
            self._db.executemany("update answers set last_used_s = ? where key = ?", rows)

    def _make_room(self, max_bytes: float) -> None:
        """Lets the least recently used leave. The answer is stored already, so failing is fine."""
        self._write_uses()
        with suppress(sqlite3.OperationalError):
            self._bytes = cache_care.evict(
                self._db,
                max_bytes=max_bytes,
                turn=self.turn,
                before_s=min(self._opened_s - _GRAIN_S, self._clock() - cache_care.KEPT_S),
            )
        # Where everything must stay, do not look through the whole file at each answer.
        self._evict_above = max(max_bytes, self._bytes * 1.02)

    def _checked(self, key: str, row: Sequence[Any]) -> Answer:
        answer = _answer(row)
        if _sha256(key, answer, row[-2]) != row[-1]:
            raise CorruptionError(
                f"the answer under key {key} must match its sha256, and does not",
                where=str(self.path),
                fix=REPAIR,
            )
        return answer


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
