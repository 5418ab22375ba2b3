"""Files that a command writes where a person said: the suffix says what is in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from upturn.errors import InputError, StorageError


def check_out(out: Path, suffixes: tuple[str, ...], *, option: str = "--out") -> None:
    """Checks before any work is done that a file can be written.

    Raises:
        InputError: its suffix says nothing.
        StorageError: it is a folder, or its folder does not exist.
    """
    if out.suffix.lower() not in suffixes:
        raise InputError(
            f"{option} must end in {' or '.join(suffixes)}, got {out.name!r}",
            fix=f"{option} {out.with_suffix(suffixes[0]) if out.name else 'FILE' + suffixes[0]}",
        )
    if out.is_dir() or not out.parent.is_dir():
        what = "a folder is there" if out.is_dir() else f"{out.parent} does not exist"
        raise StorageError(
            f"{option} must be a file in a folder that exists, {what}", where=str(out)
        )


def write_out(
    out: Path, contents: Mapping[str, Callable[[], Any]], *, option: str = "--out"
) -> None:
    """Writes what a file's suffix stands for: text as it is, anything else as JSON.

    The file was checked with ``check_out``.

    Raises:
        StorageError: it cannot be written.
    """
    from upturn.pipeline.workspace import disk_errors, write_text

    content = contents[out.suffix.lower()]()
    text = (
        content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=1)
    )
    try:
        with disk_errors(out):
            write_text(out, text if text.endswith("\n") else f"{text}\n")
    except OSError as error:
        raise StorageError(
            f"{option} must be a file that can be written, got: {error.strerror}", where=str(out)
        ) from error
