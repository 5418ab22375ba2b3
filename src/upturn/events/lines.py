"""Reads JSON lines from plain or gzipped files, and says of each bad line what is wrong with it."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from upturn.errors import DataError, StorageError
from upturn.events.problems import Problems, found
from upturn.events.records import Source
from upturn.records import Json, canonical_json

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One JSON object, where it stood, and its canonical text."""

    file: str
    number: int
    value: dict[str, Json]
    text: str


def log_files(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    """Returns the files to read: each path, or the ``*.jsonl`` and ``*.jsonl.gz`` of a folder.

    Raises:
        DataError: a path does not exist, or a folder holds no log.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    return [file for path in given for file in _files_of(Path(path))]


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted([*path.glob("*.jsonl"), *path.glob("*.jsonl.gz")])
        if not files:
            rule = "a log folder must hold *.jsonl[.gz] files, got none"
            raise DataError(rule, where=str(path), fix=f"ls {path}")
        return files
    if not path.exists():
        raise DataError(
            "the log must exist, found no such file", where=str(path), fix=f"ls {path.parent}"
        )
    return [path]


def read_lines(path: Path, problems: Problems, sources: list[Source]) -> Iterator[Line]:
    """Yields the JSON objects of one file; adds a problem for each line that is none.

    A UTF-8 byte order mark is dropped, blank lines are skipped. When the file is done, its
    source record is appended to ``sources``.

    Raises:
        StorageError: the file cannot be read.
    """
    digest, number = hashlib.sha256(), 0
    try:
        with _open(path) as stream:
            for number, raw in enumerate(stream, start=1):
                digest.update(raw)
                line = _parse(
                    raw.removeprefix(_BOM) if number == 1 else raw, path, number, problems
                )
                if line is not None:
                    yield line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        problems.add(str(path), number + 1, "", f"must be a whole gzip file, got: {error}")
    except OSError as error:
        raise StorageError(f"the log must be readable, got: {error}", where=str(path)) from error
    sources.append(Source(path=str(path), sha256=digest.hexdigest(), lines=number))


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _parse(raw: bytes, path: Path, number: int, problems: Problems) -> Line | None:
    if not raw.strip():
        return None
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        text = canonical_json(value)
        text.encode()  # a lone surrogate passes json and fails here
    except UnicodeError as error:
        problems.add(str(path), number, "", f"must be UTF-8 text, got: {error}")
    except (ValueError, RecursionError) as error:
        problems.add(str(path), number, "", f"must be one whole JSON object, got: {error}")
    else:
        if isinstance(value, dict):
            return Line(file=str(path), number=number, value=value, text=text)
        problems.add(str(path), number, "", f"must be a JSON object, got {found(value)}")
    return None


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")
