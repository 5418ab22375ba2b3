"""What goes wrong with a database, as errors that say what to type; and what is worth a retry."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from upturn.errors import StorageError

#: SQLSTATE -> what it means; retried are those after which the same statement may well succeed.
_DISCONNECTED = ("08", "57P01", "57P02", "57P03")
_CONTENDED = ("40001", "40P01", "55P03")
_FULL = ("53100",)
#: What a server says while it starts or stops; any other FATAL needs a person.
_COMING_AND_GOING = ("starting up", "shutting down", "recovery", "too many")


def is_transient(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed when it is tried again: a lock, a lost server."""
    state = _state(error)
    return (
        error.connection_invalidated
        or state.startswith((*_DISCONNECTED, *_CONTENDED))
        or _is_refused(error)
        or "locked" in _said(error)
    )


@contextmanager
def storage_errors(where: str) -> Generator[None]:
    """Turns what SQLAlchemy raises into a StorageError about a store.

    Args:
        where: the store's address, without its password.
    """
    try:
        yield
    except DBAPIError as error:
        rule, fix = _advice(error)
        raise StorageError(f"{rule}: {_said(error)}", where=where, fix=fix) from error
    except SQLAlchemyError as error:
        raise StorageError(f"the store must be usable: {error}", where=where) from error


def _advice(error: DBAPIError) -> tuple[str, str]:
    said, state = _said(error), _state(error)
    again = "then run the same command again: what was acknowledged is there, the rest is not"
    if "full" in said or state.startswith(_FULL) or "disk I/O error" in said:
        return "the store needs room on its disk", f"free disk space, {again}"
    if "locked" in said or state.startswith(_CONTENDED):
        return "the store must not be held by another process", f"let it finish, {again}"
    if error.connection_invalidated or state.startswith(_DISCONNECTED) or _is_refused(error):
        return (
            "the store's server must answer",
            f"check that it runs and that --store names it, {again}",
        )
    if "readonly" in said or "unable to open" in said:
        return "the store must be a file that can be written", "mend its permissions or its path"
    if "not a database" in said or "malformed" in said:
        return "the store must be an intact SQLite file", "name another --store, or a backup of it"
    if "FATAL" in said:
        return "the store's server must let us in", "mend the user or the database in --store"
    return "the store must take what it is given", "upturn doctor"


def _is_refused(error: DBAPIError) -> bool:
    """Whether no server was there, or none yet: psycopg gives such errors no SQLSTATE."""
    said = _said(error)
    if _state(error) or "connection" not in said:
        return False
    return "FATAL" not in said or any(word in said for word in _COMING_AND_GOING)


def _state(error: DBAPIError) -> str:
    original: Any = error.orig
    return getattr(original, "sqlstate", None) or ""


def _said(error: DBAPIError) -> str:
    """Returns the driver's first line: neither the statement nor what it carried."""
    return str(error.orig).strip().partition("\n")[0]
