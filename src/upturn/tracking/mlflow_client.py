"""The door to MLflow: a client that is silent, and errors that are ours."""

from __future__ import annotations

import logging
import os
import sqlite3
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upturn.errors import InputError, StorageError, UpturnError
from upturn.tracking.database import Schema, sqlite_uri
from upturn.tracking.redact import redact

if TYPE_CHECKING:
    from mlflow import MlflowClient

_log = logging.getLogger(__name__)

#: Set before MLflow is imported; a value that the user has set stays.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # The default of seven doubling retries keeps a job waiting four minutes on a dead server.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}


class _ToDebug(logging.Handler):
    """Passes records on to our own logger at DEBUG, secrets masked."""

    def emit(self, record: logging.LogRecord) -> None:
        _log.debug("%s: %s", record.name, redact(record.getMessage()))


@cache
def quiet_mlflow() -> None:
    """Imports MLflow with telemetry off, and turns its console output into DEBUG records.

    MLflow prints migrations and whole tracebacks to stderr through handlers of its own; they are
    replaced for the process, once.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401  # pyright: ignore[reportUnusedImport]

    for name in ("mlflow", "alembic", "sqlalchemy.engine", "huey"):
        logger = logging.getLogger(name)
        logger.handlers = [_ToDebug()]
        logger.propagate = False


def make_client(uri: str) -> MlflowClient:
    """Returns a client for one store; MLflow's process-wide tracking URI is left alone."""
    quiet_mlflow()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def installed_schema() -> Schema:
    """Returns what the installed MLflow knows of database schemas."""
    quiet_mlflow()
    _configure_tables()
    import mlflow
    from alembic.script import ScriptDirectory

    folder = Path(mlflow.__file__).parent / "store" / "db_migrations"
    script = ScriptDirectory(str(folder))
    known = frozenset(r.revision for r in script.walk_revisions())
    head = str(script.get_current_head())
    return Schema(version=mlflow.__version__, head=head, known=known, migrate=_migrate)


@cache
def _configure_tables() -> None:
    """Sets up MLflow's tables with warnings off: it uses loaders that SQLAlchemy deprecates, and
    where warnings are errors its first query would fail."""
    import mlflow.store.db.utils  # noqa: F401  # pyright: ignore[reportUnusedImport]
    from sqlalchemy.orm import configure_mappers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        configure_mappers()


def _migrate(path: Path) -> None:
    """Runs MLflow's migrations on an empty file. Takes 3 to 11 s."""
    uri = sqlite_uri(path)
    with storage_errors(str(path)):
        make_client(uri).search_experiments(max_results=1)
        release(uri)


def release(uri: str) -> None:
    """Closes MLflow's pooled connections to a SQLite file; the next call opens them again.

    MLflow keeps one engine per URI for the life of the process and offers no way to close it.
    """
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

    for store in (TrackingStore, RegistryStore):
        engine = getattr(store, "_engine_map", {}).get(uri)
        if engine is not None:
            engine.dispose()


@contextmanager
def tracking_uri_set(uri: str) -> Generator[None]:
    """Sets MLflow's process-wide tracking URI for one call, and puts back what was there.

    The registry of a database looks up logged models there, whatever client it is called through.
    """
    import mlflow

    before: Any = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


@contextmanager
def storage_errors(where: str) -> Generator[None]:
    """Turns whatever MLflow, SQLAlchemy or the system raise into one StorageError.

    Args:
        where: file or URI to name in the error; credentials in it are masked.
    """
    quiet_mlflow()
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except UpturnError:
        raise
    except (MlflowException, SQLAlchemyError, RequestException, OSError, sqlite3.Error) as error:
        text = redact(str(error)).strip().splitlines()[0][:300]
        raise StorageError(
            f"MLflow must be reachable and writable: {text}", where=redact(where), fix=_fix(text)
        ) from error


def _fix(text: str) -> str:
    if "readonly" in text or "Permission" in text:
        return "mend the permissions of the runs folder, then run again"
    if "disk" in text or "No space" in text or "full" in text:
        return "free the disk, then run again: what was paid for is kept"
    if "locked" in text:
        return "wait for the other process that writes to this database, then run again"
    return "check that the tracking address is right and the server is up, then run again"


def check_name(name: str) -> str:
    """Returns a program's name if MLflow can hold it as experiment and registered model.

    Raises:
        InputError: it is empty or holds a character that MLflow forbids.
    """
    if not name or any(c in name for c in "/:%\n"):
        what = f"a program's name must be non-empty and without / : %, got {name!r}"
        raise InputError(what, fix="rename the program in the config")
    return name
