"""Which files a path means: the file itself, or those of a folder; nothing that is no regular file.

The path ``-`` is the standard input.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from upturn.errors import DataError

STDIN = "-"

#: What a name says about the content; the content has the last word.
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
_PACKED = (".gz", ".gzip", ".zst", ".zstd")


def source_files(paths: Iterable[str | Path]) -> list[str]:
    """Returns the files to read: each path, or the files of known suffixes below a folder, sorted.

    Raises:
        DataError: a path does not exist, is neither file nor folder (a device, a pipe, a socket),
            or is a folder without a file to read.
    """
    return [file for path in paths for file in _files_of(str(path))]


def suffix_of(name: str) -> str:
    """Returns the suffix that tells the format of a file, in lower case; packing is taken off."""
    lower = name.lower()
    for packed in _PACKED:
        lower = lower.removesuffix(packed)
    return os.path.splitext(lower)[1]


def check_regular(mode: int, where: str) -> None:
    """Checks the mode of what a path leads to.

    Raises:
        DataError: it is no regular file.
    """
    if not stat.S_ISREG(mode):
        kind = next((text for test, text in _KINDS if test(mode)), "something else")
        raise DataError(
            f"a source must be a regular file or a folder, this is {kind}",
            where=where,
            fix=f"upturn ingest - < {where}",
        )


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISLNK, "a symbolic link"),
)


def _files_of(path: str) -> list[str]:
    if path == STDIN:
        return [path]
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        parent = os.path.dirname(path) or "."
        what = f"a source must exist and be readable, got: {_reason(error)}"
        raise DataError(what, where=path, fix=f"ls {parent}") from None
    if stat.S_ISDIR(mode):
        return _files_below(path)
    check_regular(mode, path)
    return [path]


def _files_below(folder: str) -> list[str]:
    files = sorted(_walk(folder))
    if not files:
        rule = f"a folder must hold files that end in {', '.join(SUFFIXES)} (or these packed)"
        raise DataError(f"{rule}, got none", where=folder, fix=f"ls {folder}")
    return files


def _walk(folder: str) -> Iterator[str]:
    """Yields the files of known suffixes; hidden ones are left out, as shells do.

    Links to folders are not followed; a link to a file counts where the file lies in the folder.
    """
    root = os.path.realpath(folder)
    for base, folders, names in os.walk(folder):
        folders[:] = [n for n in folders if not n.startswith(".")]
        for name in names:
            path = os.path.join(base, name)
            if name.startswith(".") or suffix_of(name) not in SUFFIXES:
                continue
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode) and os.path.realpath(path).startswith(root + os.sep):
                mode = os.stat(path).st_mode
            check_regular(mode, path)
            yield path


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
