"""Reads the files of a suite: what is wrong is named by file and line, and no path leads out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from upturn.errors import DataError
from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class Line:
    """One JSON object of a file; ``where`` is ``file:line``."""

    where: str
    value: Mapping[str, Json]

    def known(self, keys: Iterable[str]) -> None:
        """Refuses other keys.

        Raises:
            DataError: the object has one.
        """
        known = list(keys)
        strange = sorted(set(self.value) - set(known))
        if strange:
            raise DataError(
                f"unknown field {strange[0]!r}; a row has {', '.join(known)}",
                where=self.where,
                fix="rename or remove it",
            )


def json_lines(path: Path) -> list[Line]:
    """Returns the objects of a file of JSON lines; blank lines are passed over.

    Raises:
        DataError: no such file, no object at all, or a line that is no JSON object.
    """
    found = [
        Line(where=f"{path}:{number}", value=_object(text, f"{path}:{number}"))
        for number, text in enumerate(read_text(path).split("\n"), start=1)
        if text.strip()
    ]
    if not found:
        raise DataError(
            "a suite must have at least one row, got none",
            where=str(path),
            fix='write one JSON object a line, e.g. {"text": "…", "expect": {"max_chars": 200}}',
        )
    return found


def read_text(path: Path) -> str:
    """Returns a file's text.

    Raises:
        DataError: it cannot be read, or is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(
            "the file must exist", where=str(path), fix="mend the path in gate.suites"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"must be UTF-8: {error.reason}", where=str(path)) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from None


def inside(folder: Path, name: str, *, where: str) -> Path:
    """Returns the file that a suite's own file names, below its folder.

    Raises:
        DataError: the name is absolute or leads out, by ``..`` or by a link.
    """
    parts = PurePosixPath(name)
    absolute = parts.is_absolute() or PureWindowsPath(name).is_absolute() or "://" in name
    path = folder / name
    outside = "\0" in name or absolute or ".." in parts.parts or "\\" in name
    if outside or not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            f"a file of a suite must lie inside the suite's folder, got {name!r}",
            where=where,
            fix=f"copy it below {folder} and name it from there",
        )
    return path


def texts(value: Json, *, what: str, where: str, may_be_empty: bool = False) -> tuple[str, ...]:
    """Returns a text, or a list of texts, as a tuple.

    Raises:
        DataError: it is neither, or a text in it is empty.
    """
    listed: list[Any] = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(v, str) for v in listed):
        raise DataError(
            f"{what} must be a text or a list of texts, got {json.dumps(value)[:80]}", where=where
        )
    if "" in listed and not may_be_empty:
        raise DataError(
            f"{what} must not be empty: every answer would fit it",
            where=where,
            fix="write what the answer must hold",
        )
    return tuple(listed)


def _object(text: str, where: str) -> Mapping[str, Json]:
    try:
        value = json.loads(text, parse_constant=_refused, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not JSON: {error}", where=where) from None
    if not isinstance(value, dict):
        raise DataError(f"must be a JSON object, got {type(value).__name__}", where=where)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DataError(
            "must hold Unicode text, got half of a surrogate pair", where=where
        ) from None
    return value


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name!r} is there twice")
        found[name] = value
    return found


def _refused(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
