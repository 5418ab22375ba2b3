"""What can be ingested: a file, the standard input, or a live MLflow tracking store."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from upturn.errors import DataError
from upturn.ingest.files import STDIN, source_files
from upturn.ingest.limits import Limits
from upturn.ingest.source import Record, open_records

_MLFLOW = "mlflow:"
_HEAD = 64 * 1024  # bytes whose hash tells a file from another of its name and size


@dataclass(frozen=True, kw_only=True)
class Feed:
    """Something that gives records, opened.

    Attributes:
        name: as the user wrote it.
        key: what names this content, so that a broken-off ingest can go on; None where the same
            records cannot be had again.
        format: the only format that it can have; None where its records tell.
        records: starts reading, after a number of records that are left out.
        consumed: bytes of the file that were read so far; size: those that it has, or None.
    """

    name: str
    key: str | None
    format: str | None
    records: Callable[[int], Iterator[Record]]
    consumed: Callable[[], int]
    size: int | None


def feed_names(paths: list[str]) -> list[str]:
    """Returns the sources that some paths mean: folders become their files.

    Raises:
        DataError: a path cannot be a source.
    """
    return [name for path in paths for name in _names(path)]


@contextmanager
def open_feed(name: str, limits: Limits) -> Generator[Feed]:
    """Opens a source.

    Raises:
        DataError: it is no regular file, or no store that can be read.
        StorageError: it cannot be read.
    """
    if name.startswith(_MLFLOW):
        yield _tracking_store(name)
        return
    with open_records(name, limits) as stream:
        yield Feed(
            name=stream.name,
            key=None if name == STDIN else _key(name),
            format=None,
            records=lambda skip: stream.records(skip=skip),
            consumed=lambda: stream.consumed,
            size=stream.size,
        )


def _names(path: str) -> list[str]:
    return [path] if path.startswith(_MLFLOW) else source_files([path])


def _key(path: str) -> str:
    """Names a file by where it lies, its size and how it begins."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        digest.update(file.read(_HEAD))
        size = os.fstat(file.fileno()).st_size
    return f"{os.path.abspath(path)}:{size}:{digest.hexdigest()[:16]}"


def _tracking_store(name: str) -> Feed:
    uri, _, experiment = name.removeprefix(_MLFLOW).partition("#")
    if not uri or not experiment:
        raise DataError(
            f"a tracking store must be named mlflow:URI#EXPERIMENT, got {name!r}",
            where=name,
            fix="upturn ingest 'mlflow:sqlite:////abs/mlflow.db#EXPERIMENT' --store URL",
        )

    def records(skip: int) -> Iterator[Record]:
        from upturn.importers.mlflow_store import records as traces

        for number, trace in enumerate(traces(uri, experiment), start=1):
            if number > skip:
                yield Record(number, 0, trace, "", 0)

    return Feed(
        name=name, key=None, format="mlflow", records=records, consumed=lambda: 0, size=None
    )
