"""Traces of a live MLflow tracking store, page by page, as records for the ``mlflow`` importer."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import warnings
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

from upturn.errors import StorageError
from upturn.records import Json

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Traces of one page: a page is all that is held in memory at once.
PAGE = 100
_CREDENTIALS = re.compile(r"(://)[^\s/@]+@")


def records(uri: str, experiment: str, *, page: int = PAGE) -> Iterator[dict[str, Json]]:
    """Yields the traces of an experiment with their spans and assessments, oldest first.

    Nothing is written, and MLflow's process-wide tracking URI is left alone. Memory holds one page.
    A trace that is logged while this runs may be missed; the next run finds it.

    Args:
        uri: the tracking store: ``sqlite:///<file>``, or the ``http`` address of a server.
        experiment: name of the experiment, or its id where none has that name.
        page: traces of one page.

    Raises:
        StorageError: the store cannot be read, or has no such experiment.
    """
    client = _client(uri)
    identity = _experiment(client, uri, experiment)
    token: str | None = None
    while True:
        with _storage_errors(uri):
            found = client.search_traces(
                locations=[identity],
                include_spans=True,
                max_results=page,
                order_by=["timestamp_ms ASC"],
                page_token=token,
            )
        for trace in found:
            yield trace.to_dict()
        token = found.token
        if not token:
            return


def _client(uri: str) -> MlflowClient:
    """Makes a client that sends no telemetry and prints nothing; what the user set stays."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # The default of seven doubling retries would wait four minutes for a dead server.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    _check_file(uri)
    # MLflow sets up its tables at the first query with loaders that SQLAlchemy deprecates.
    with _storage_errors(uri), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    return client


def _check_file(uri: str) -> None:
    """Refuses a SQLite file that is no MLflow database: MLflow would make it one, and so hide a
    wrong path, or write its tables into somebody else's file."""
    path = uri.removeprefix("sqlite:///")
    if path == uri:
        return
    what = "found no file"
    if os.path.isfile(path):
        with (
            _storage_errors(uri),
            closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as db,
        ):
            tables = {row[0] for row in db.execute("select name from sqlite_master")}
        what = "" if "trace_info" in tables else "found other tables"
    if what:
        raise StorageError(
            f"the MLflow database must exist, {what}",
            where=path,
            fix="give the path of the store's database: sqlite:///<path>/mlflow.db",
        )


def _experiment(client: MlflowClient, uri: str, experiment: str) -> str:
    with _storage_errors(uri):
        named = client.get_experiment_by_name(experiment)
        if named is not None:
            return str(named.experiment_id)
        names = {e.name: str(e.experiment_id) for e in client.search_experiments(max_results=50)}
    if experiment in names.values():
        return experiment
    known = ", ".join(sorted(names)[:12]) or "none"
    raise StorageError(
        f"the experiment must be one of the store's ({known}), got {experiment!r}",
        where=_masked(uri),
        fix="name one of these",
    )


@contextmanager
def _storage_errors(uri: str) -> Generator[None]:
    """Turns whatever MLflow, its database or its transport raise into one StorageError."""
    try:
        yield
    except Exception as error:  # foreign code: three libraries with error trees of their own
        lines = _masked(str(error)).strip().splitlines() or [type(error).__name__]
        raise StorageError(
            f"the MLflow store must be readable: {lines[0][:300]}",
            where=_masked(uri),
            fix="check that the address is right and the server is up, then run again",
        ) from error


def _masked(text: str) -> str:
    return _CREDENTIALS.sub(r"\1***@", text)
