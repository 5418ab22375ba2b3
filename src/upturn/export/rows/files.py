"""Writes a file whole or not at all, and never over something else."""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from upturn.errors import StorageError
from upturn.records import Json


def write_lines(out: Path, rows: Iterable[Json]) -> int:
    """Writes one JSON value a line, streamed, and returns how many."""
    count = 0

    def fill(beside: Path) -> None:
        nonlocal count
        with beside.open("w", encoding="utf-8", newline="\n") as stream:
            for row in rows:
                stream.write(_dump(row) + "\n")
                count += 1

    _place(out, fill)
    return count


def write_array(out: Path, rows: Iterable[Json]) -> int:
    """Writes one JSON array, an element a line, streamed, and returns how many."""
    count = 0

    def fill(beside: Path) -> None:
        nonlocal count
        with beside.open("w", encoding="utf-8", newline="\n") as stream:
            for row in rows:
                stream.write(("[\n" if not count else ",\n") + _dump(row))
                count += 1
            stream.write("\n]\n" if count else "[]\n")

    _place(out, fill)
    return count


def _dump(row: Json) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False)


def _place(out: Path, fill: Callable[[Path], None]) -> None:
    """Fills a file beside ``out``, makes it durable and renames it."""
    with os_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{out.name}-", dir=out.parent)
        os.close(handle)
        beside = Path(name)
        try:
            fill(beside)
            _settle(beside, out)
        finally:
            beside.unlink(missing_ok=True)


def _settle(beside: Path, out: Path) -> None:
    if out.exists():
        if not (out.is_file() and filecmp.cmp(beside, out, shallow=False)):
            raise _occupied(out)
        return
    with beside.open("rb") as stream:
        os.fsync(stream.fileno())
    beside.chmod(0o644)
    beside.replace(out)


def write_folder(out: Path, fill: Callable[[Path], None]) -> None:
    """Fills a folder beside ``out`` and renames it; ``out`` must be new or empty.

    Raises:
        StorageError: ``out`` holds something, or cannot be written.
    """
    with os_errors(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise _occupied(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            fill(beside)
            beside.chmod(0o755)
            beside.replace(out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _occupied(out: Path) -> StorageError:
    return StorageError(
        "a data set never overwrites: the path must be new, or hold these very rows",
        where=str(out),
        fix=f"choose another --out, or remove {out}",
    )


@contextmanager
def os_errors(where: Path) -> Generator[None]:
    """Turns what the disk says into an error that names the path."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the path must be writable: {error.strerror or error}",
            where=str(where),
            fix=f"df -h {where.parent}; ls -ld {where.parent}",
        ) from error
