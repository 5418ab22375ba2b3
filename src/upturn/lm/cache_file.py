"""The file of the answer cache: its layout, its versions, and what SQLite's errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from upturn.errors import CorruptionError, StorageError

#: Version of the table's layout, kept in ``PRAGMA user_version``.
SCHEMA_VERSION = 2
#: What mends a broken file.
REPAIR = "upturn doctor --repair-cache"

_CREATE = """
create table if not exists answers (
    key text primary key, text text not null, finish_reason text not null,
    input_tokens integer not null, output_tokens integer not null,
    latency_s real not null, cost_usd real not null,
    turn text not null, created_s real not null, sha256 text not null,
    last_used_s real not null default 0
) without rowid
"""
# Nothing is written into the rows that are there: 0 is before any row was made.
_TO_VERSION_2 = "alter table answers add column last_used_s real not null default 0"


def open_file(path: Path, *, max_pages: int | None) -> sqlite3.Connection:
    """Opens the file, makes it where there is none, and migrates an older one.

    Raises:
        CorruptionError: the file is no SQLite database, or its pages are broken.
        StorageError: the folder cannot be written, or another version made the file.
    """
    with translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=30, check_same_thread=False)
    try:
        with translated(path):
            _prepare(db, path, max_pages)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path, max_pages: int | None) -> None:
    version = _version(db, path)
    db.execute("pragma journal_mode=wal")
    # With WAL, NORMAL keeps every commit through a kill of the process; only a power cut
    # can lose the last ones, and then the file stays whole.
    db.execute("pragma synchronous=normal")
    if max_pages is not None:
        db.execute(f"pragma max_page_count={int(max_pages)}")
    if version == SCHEMA_VERSION:
        return
    with db:
        db.execute("begin immediate")
        # Another process may have done it while this one waited.
        version = _version(db, path)
        if version == 0:
            db.execute(_CREATE)
        elif version == 1:
            db.execute(_TO_VERSION_2)
        db.execute(f"pragma user_version={SCHEMA_VERSION}")


def _version(db: sqlite3.Connection, path: Path) -> int:
    # In one statement: a file that is being made must not look like somebody else's.
    version, tables = db.execute(
        "select user_version, (select count(*) from sqlite_master) from pragma_user_version"
    ).fetchone()
    if version not in (0, 1, SCHEMA_VERSION) or (version == 0 and tables):
        raise StorageError(
            f"the cache's version must be {SCHEMA_VERSION}, got {version}",
            where=str(path),
            fix=f"use the upturn that made it, or: mv {path} {path}.old",
        )
    return int(version)


@contextmanager
def translated(path: Path) -> Generator[None]:
    """Raises SQLite's errors and the system's as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(error, path) from error
    except OSError as error:
        raise StorageError(
            f"the cache's folder must be writable ({error.strerror})", where=str(path)
        ) from error


def _translate(error: sqlite3.Error, path: Path) -> StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return CorruptionError(
            f"the cache must be a whole SQLite file ({error})", where=str(path), fix=REPAIR
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
