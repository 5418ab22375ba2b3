"""Files that are whole or not there: a reader never sees half of one, whatever ends the writer."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

from upturn.errors import CorruptionError
from upturn.records import Json


def file_hash(path: Path) -> str:
    """Returns the sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: Json) -> None:
    """Writes a JSON file atomically."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    with _replacing(path) as file:
        file.write(text.encode())


def write_lines(path: Path, values: Iterable[Any]) -> None:
    """Writes what ``to_json`` of each value gives, one a line, atomically."""
    with _replacing(path) as file:
        for value in values:
            file.write(json.dumps(value.to_json(), ensure_ascii=False).encode() + b"\n")


@contextlib.contextmanager
def _replacing(path: Path) -> Generator[Any]:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> Json:
    """Returns what a JSON file holds, or None where it is not there.

    Raises:
        CorruptionError: it is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        fix = f"remove {path.parent} and run the job again"
        raise CorruptionError(f"must be JSON: {error}", where=str(path), fix=fix) from None
