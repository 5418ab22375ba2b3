"""The MLflow database file: made once, under a lock, and never opened when it is not ours to open.

Works on SQLite directly. What MLflow knows (its schema revisions, its migrations) is passed in.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from upturn.errors import StorageError

DATABASE = "mlflow.db"


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What the installed MLflow knows of database schemas.

    Attributes:
        version: the installed MLflow's version.
        head: revision it writes.
        known: all revisions it can upgrade from, ``head`` included.
        migrate: makes an empty SQLite file at the given path into a database at ``head``.
    """

    version: str
    head: str
    known: frozenset[str]
    migrate: Callable[[Path], None]


def sqlite_uri(path: Path) -> str:
    """Returns the URI of an absolute path; a relative one would move with the working directory."""
    return f"sqlite:///{path.resolve()}"


def prepare(root: Path, schema: Schema) -> Path:
    """Returns the database of a runs folder, made now if there is none. Safe to call at once
    from several processes.

    Raises:
        StorageError: the folder cannot be written or holds a file store, or the database is of
            another MLflow version or is no MLflow database.
    """
    path = root / DATABASE
    with _os_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        _refuse_file_store(root)
        with _locked(root / f".{DATABASE}.lock"):
            if not _has_tables(path):
                _create(path, schema)
        _check_revision(path, schema)
        _check_writable(path)
    return path


def _refuse_file_store(root: Path) -> None:
    for meta in sorted(root.glob("*/meta.yaml")):
        if meta.parent.name.isdigit():
            raise StorageError(
                f"{DATABASE} must be the only MLflow store in the folder, found a file store of an "
                f"older MLflow ({meta.parent.name}/meta.yaml)",
                where=str(root),
                fix="move the numbered folders elsewhere, or use `mlflow migrate-filestore`",
            )


def _has_tables(path: Path) -> bool:
    if not path.exists() or path.stat().st_size == 0:
        return False
    with closing(sqlite3.connect(path)) as db:
        return db.execute("select count(*) from sqlite_master").fetchone()[0] > 0


def _create(path: Path, schema: Schema) -> None:
    """Migrates beside the final name, so that a kill in the middle leaves nothing half-made."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    schema.migrate(fresh)
    with closing(sqlite3.connect(fresh)) as db:
        db.execute("pragma journal_mode=wal")
    fresh.replace(path)


def read_revision(path: Path) -> str:
    """Returns the schema revision written in a database, or "" where it has none."""
    with closing(sqlite3.connect(path)) as db:
        tables = {row[0] for row in db.execute("select name from sqlite_master")}
        if "alembic_version" not in tables:
            return ""
        row = db.execute("select version_num from alembic_version").fetchone()
    return str(row[0]) if row else ""


def _check_revision(path: Path, schema: Schema) -> None:
    found = read_revision(path)
    if found == schema.head:
        return
    if not found:
        what = "must be an MLflow database, found SQLite tables of something else"
        raise StorageError(what, where=str(path), fix="move the file away and run again")
    rule = f"schema must be revision {schema.head} (MLflow {schema.version}), found {found}"
    if found in schema.known:
        fix = f"back the file up, then `mlflow db upgrade {sqlite_uri(path)}`"
        raise StorageError(f"{rule}, of an older MLflow", where=str(path), fix=fix)
    fix = "install the MLflow that wrote it, or give this run another folder"
    raise StorageError(f"{rule}, of a newer MLflow", where=str(path), fix=fix)


def _check_writable(path: Path) -> None:
    """Takes and drops the write lock: a read-only file fails here, not after the first trial."""
    with closing(sqlite3.connect(path, timeout=20.0)) as db:
        db.execute("begin immediate")
        db.rollback()


@contextmanager
def _locked(path: Path) -> Generator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _os_errors(root: Path) -> Generator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StorageError(
            f"the runs folder must be readable and writable: {error}",
            where=str(root),
            fix="free the disk or mend the permissions, then run again",
        ) from error
