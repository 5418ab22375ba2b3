"""What SQLite and PostgreSQL do differently. No other module asks which one it talks to."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from upturn.errors import ConfigError, MissingExtraError, StorageError
from upturn.store.rows import Values

_KINDS = "sqlite:///PATH, a plain PATH, or postgresql+psycopg://USER@HOST/DATABASE"
# How a transaction of SQLite begins; PostgreSQL ignores the option.
_BEGIN = "upturn_begin"
# Memory for index pages (KiB, negative as SQLite wants it) and how many pages of 4 KiB the log
# takes before they go to the main file: every batch touches most pages of the id indexes, so a
# short log would write them again each time.
_CACHE, _LOG_PAGES = -65_536, 32_000


def address(url: str) -> URL:
    """Returns where a store lies.

    Raises:
        ConfigError: it is neither a file nor a PostgreSQL database.
    """
    try:
        # A path is no URL: a "?" in it is a character of its name.
        parsed = make_url(url) if "://" in url else URL.create("sqlite", database=url)
    except ArgumentError:
        parsed = None
    if parsed is not None and parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed is None or parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        found = url.partition("://")[0]
        raise ConfigError(f"a store must be {_KINDS}; got {found}://…", where="--store")
    if parsed.drivername == "sqlite" and (parsed.database or ":memory:") == ":memory:":
        raise ConfigError(f"a store must be a file or a server ({_KINDS})", where="--store")
    return parsed


def file_of(url: URL) -> Path | None:
    """Returns the file of a SQLite store, None for a server."""
    return Path(url.database or "") if url.drivername == "sqlite" else None


def connect(url: URL, *, patience_s: float) -> Engine:
    """Returns an engine whose transactions are durable when they are committed.

    Args:
        url: from :func:`address`; patience_s: how long to wait for a lock, in seconds.

    Raises:
        MissingExtraError: the driver for PostgreSQL is not installed.
    """
    if url.drivername == "sqlite":
        engine = create_engine(
            url, connect_args={"timeout": patience_s}, hide_parameters=True, pool_use_lifo=True
        )
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        engine = create_engine(
            url,
            connect_args=_postgres_arguments(url, patience_s),
            hide_parameters=True,
            pool_pre_ping=True,
            pool_use_lifo=True,
        )
    except ImportError:
        raise MissingExtraError("postgres", "a PostgreSQL store") from None
    event.listen(engine, "connect", lambda connection, _: _set_up_postgres(connection, patience_s))
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # None: pysqlite must not begin transactions by itself; _begin_sqlite does.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "secure_delete = ON",
        f"cache_size = {_CACHE}",
        f"wal_autocheckpoint = {_LOG_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _postgres_arguments(url: URL, patience_s: float) -> dict[str, Any]:
    ours = {"connect_timeout": max(2, int(patience_s)), "application_name": "upturn"}
    return {name: value for name, value in ours.items() if name not in url.query}


def _set_up_postgres(connection: Any, patience_s: float) -> None:
    connection.execute(f"SET lock_timeout = {int(patience_s * 1000)}")
    # A server may be set up to commit before the disk has it; here that would break a promise.
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) "
        "WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    begin = connection.get_execution_options().get(_BEGIN, "BEGIN")
    if begin:
        connection.exec_driver_sql(begin)


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """Opens a transaction that sees one state of the store, whatever others write meanwhile."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine, *, alone: bool = False) -> Generator[Connection]:
    """Opens a transaction that writes, committed at the end and rolled back on an error.

    Args:
        alone: no other such transaction may run beside it: SQLite never lets two, PostgreSQL only
            where one of them asks for it.
    """
    with engine.connect() as connection:
        connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        with connection.begin():
            if engine.dialect.name == "postgresql":
                _lock(connection, shared=not alone)
            yield connection


def _lock(connection: Connection, *, shared: bool) -> None:
    kind = "_shared" if shared else ""
    connection.exec_driver_sql(
        f"SELECT pg_advisory_xact_lock{kind}(hashtext('upturn'), hashtext(current_schema()))"
    )


@contextmanager
def opening(url: URL) -> Generator[None]:
    """Keeps others out while the schema of a SQLite file is made: its log has no locks yet."""
    path = file_of(url)
    if path is None:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The folder itself is locked: a lock file would stay behind beside every store.
        handle = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise StorageError(
            f"the store must lie in a folder that can be written: {error.strerror}",
            where=str(path),
            fix="mend its permissions, or name another file with --store",
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def insert_new(connection: Connection, table: Table, rows: Sequence[Values]) -> int:
    """Inserts the rows whose key is not there yet, and returns how many were."""
    if not rows:
        return 0
    columns = ", ".join(f'"{c.name}"' for c in table.columns)
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    marks = ", ".join([mark] * len(table.columns))
    statement = f"INSERT INTO {table.name} ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    return connection.exec_driver_sql(statement, list(rows)).rowcount


def compact(engine: Engine, tables: Sequence[Table]) -> None:
    """Takes what was deleted out of the database's files.

    Raises:
        StorageError: on SQLite, a reader still holds old pages.
    """
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT", **{_BEGIN: ""})
        if engine.dialect.name == "postgresql":
            for table in tables:
                connection.exec_driver_sql(f"VACUUM {table.name}")
            return
        _empty_log(connection, engine)
        connection.exec_driver_sql("VACUUM")
        _empty_log(connection, engine)


def _empty_log(connection: Connection, engine: Engine) -> None:
    busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
    if busy:
        raise StorageError(
            "no reader may hold the store while deleted content is taken out of its files; the "
            "rows are deleted, their bytes may still be in the log",
            where=str(engine.url.database),
            fix="let the reader finish, then run the same command again",
        )
