"""Events and databases that the tests of the store share."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import OperationalError

from upturn.events import Feedback, Request, Role, Signal

SERVER = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
#: Parameters of a fixture that hands a kind to :func:`database`.
KINDS = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))


@contextmanager
def database(kind: str, folder: Path, server: str = SERVER) -> Generator[str]:
    """Gives the url of an empty database: a file, or a schema that is dropped at the end."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'store.db'}"
        return
    engine = create_engine(SERVER)
    schema = f"store_{uuid4().hex}"
    try:
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
    except OperationalError:
        pytest.skip(f"no PostgreSQL answers at {SERVER}")
    try:
        # A server that is slow is not one that is away.
        asked = f"application_name={schema}&options=-csearch_path%3D{schema}&connect_timeout=120"
        yield f"{server}?{asked}"
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        engine.dispose()


def execute(url: str, *statements: str) -> list[Any]:
    """Runs statements behind a store's back; returns the rows of the last."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            results = [connection.execute(text(s)) for s in statements]
            return list(results[-1]) if results[-1].returns_rows else []
    finally:
        engine.dispose()


def everything(url: str) -> str:
    """Returns all that a database holds: a file's bytes, or every column of every table."""
    engine = create_engine(url)
    try:
        if engine.url.database and engine.dialect.name == "sqlite":
            path = Path(engine.url.database)
            return "".join(f.read_bytes().decode("latin-1") for f in path.parent.iterdir())
        tables = inspect(engine).get_table_names()
    finally:
        engine.dispose()
    return "".join(str(execute(url, f"SELECT t::text FROM {name} t")) for name in tables)


def request(id: str = "r1", **changes: Any) -> Request:
    values: dict[str, Any] = {
        "id": id,
        "time": "2026-03-01T10:00:00+00:00",
        "program": "triage",
        "inputs": {"message": "where is my card?"},
        "outputs": {"team": "cards"},
        "user": "u1",
    }
    return Request(**values | changes)


def feedback(id: str = "f1", request_id: str = "r1", **changes: Any) -> Feedback:
    values: dict[str, Any] = {
        "id": id,
        "request_id": request_id,
        "time": "2026-03-02T10:00:00+00:00",
        "signal": Signal.CORRECTION,
        "value": {"team": "billing"},
        "rater": "a1",
        "role": Role.AGENT,
    }
    return Feedback(**values | changes)
