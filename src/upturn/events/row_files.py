"""Files of rows that a person hands to a command: one JSON object a line, stops at a fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from upturn.errors import DataError, StorageError
from upturn.events.problems import found
from upturn.records import Json


def row_lines(path: Path, *, fix: str) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yields ``file:line`` and object of each line that is not blank, one line in memory at a time.

    Args:
        path: the file.
        fix: what to do about a line that is no JSON.

    Raises:
        DataError: there is no such file, or a line is no JSON object.
        StorageError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    where = f"{path}:{number}"
                    yield where, _object(line, where, fix)
    except FileNotFoundError as error:
        raise DataError(
            "the file must exist, found no such file", where=str(path), fix=f"ls {path.parent}"
        ) from error
    except OSError as error:
        raise StorageError(
            f"the file must be readable, got: {error.strerror}", where=str(path)
        ) from error


def row_text(value: Json, key: str, where: str) -> str:
    """Returns a name such as an id; a whole number is one.

    Raises:
        DataError: it is neither.
    """
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise DataError(f"{key} must be a text or a whole number, got {found(value)}", where=where)


def _object(line: bytes, where: str, fix: str) -> dict[str, Json]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DataError(
            f"a line must be one whole JSON object (NaN is no JSON), got: {error}",
            where=where,
            fix=fix,
        ) from error
    if not isinstance(value, dict):
        raise DataError(f"a line must be a JSON object, got {found(value)}", where=where)
    return value
