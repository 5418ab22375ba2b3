"""What is in the answer cache, what leaves it, and who decides."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass

#: Whatever was used within so many seconds stays: another process's turn may need it.
KEPT_S = 24 * 3600.0
#: Share of the limit that is left after answers had to leave, so that it is not done at each one.
_LEFT = 0.9
#: Bytes of a row beside its text: key, hash, turn, numbers.
_ROW_BYTES = 240
_TURNS = 10

_BYTES = f"length(cast(text as blob)) + {_ROW_BYTES}"
_TOUCHED = "max(created_s, last_used_s)"
#: Those of a turn, or of all; those not used since a time, or all.
_CHOSEN = f"where (?1 is null or turn = ?1) and (?2 is null or {_TOUCHED} < ?2)"


@dataclass(frozen=True, kw_only=True)
class TurnShare:
    """What one turn paid for that is still there."""

    turn: str
    answers: int
    bytes: int
    cost_usd: float


@dataclass(frozen=True, kw_only=True)
class CacheStats:
    """What the cache holds.

    Attributes:
        answers, bytes: in all; bytes without what the file keeps free.
        oldest_s, newest_s: when the first and the last answer were written, in seconds since the
            epoch; None where there is none.
        turns: those with the most bytes.
        hits, misses: of the object that was asked.
    """

    answers: int
    bytes: int
    oldest_s: float | None
    newest_s: float | None
    turns: tuple[TurnShare, ...]
    hits: int
    misses: int


def answer_bytes(text: str) -> int:
    """Returns the bytes that an answer takes."""
    return len(text.encode("utf-8", "surrogatepass")) + _ROW_BYTES


def content_bytes(db: sqlite3.Connection) -> float:
    """Returns the bytes of all answers; reads the whole file."""
    return float(db.execute(f"select coalesce(sum({_BYTES}), 0) from answers").fetchone()[0])


def stats(db: sqlite3.Connection, *, hits: int, misses: int) -> CacheStats:
    """Reads the whole file."""
    answers, oldest, newest = db.execute(
        "select count(*), min(created_s), max(created_s) from answers"
    ).fetchone()
    turns = db.execute(
        f"select turn, count(*), sum({_BYTES}), sum(cost_usd) from answers "
        f"group by turn order by 3 desc, turn limit {_TURNS}"
    ).fetchall()
    return CacheStats(
        answers=answers,
        bytes=int(content_bytes(db)),
        oldest_s=oldest,
        newest_s=newest,
        turns=tuple(TurnShare(turn=t, answers=n, bytes=b, cost_usd=usd) for t, n, b, usd in turns),
        hits=hits,
        misses=misses,
    )


def evict(db: sqlite3.Connection, *, max_bytes: float, turn: str, before_s: float) -> float:
    """Deletes the least recently used answers until 90 % of the limit is left.

    Args:
        db: the file.
        max_bytes: the limit.
        turn: its answers stay.
        before_s: what was used since then stays.

    Returns:
        The bytes that are left.
    """
    with db:
        db.execute("begin immediate")
        # Other processes have written, too.
        left = content_bytes(db)
        leaving: list[tuple[str]] = []
        for key, size in db.execute(
            f"select key, {_BYTES} from answers where {_TOUCHED} < ? and (turn <> ? or turn = '') "
            f"order by {_TOUCHED}, key",
            (before_s, turn),
        ):
            if left <= max_bytes * _LEFT:
                break
            leaving.append((key,))
            left -= size
        db.executemany("delete from answers where key = ?", leaving)
    return left


def worth(db: sqlite3.Connection, *, turn: str | None, before_s: float | None) -> tuple[int, float]:
    """Counts the answers of a turn, or those not used since a time, or both, or all."""
    answers, usd = db.execute(
        f"select count(*), coalesce(sum(cost_usd), 0.0) from answers {_CHOSEN}", (turn, before_s)
    ).fetchone()
    return int(answers), float(usd)


def clear(db: sqlite3.Connection, *, turn: str | None, before_s: float | None) -> int:
    """Deletes what ``worth`` counts; returns how many there were."""
    with db:
        deleted = db.execute(f"delete from answers {_CHOSEN}", (turn, before_s)).rowcount
    # Writing the file anew takes room and the file for itself; the answers are gone without it.
    with suppress(sqlite3.OperationalError):
        db.execute("vacuum")
        db.execute("pragma wal_checkpoint(truncate)")
    return deleted
