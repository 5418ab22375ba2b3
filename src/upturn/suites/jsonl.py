"""A user's own suite: one JSON object a line.

{"id": "r1", "text": "…", "expect": {"includes": "refund", "max_chars": 200}}
{"id": "r2", "inputs": {"message": "…"}, "output": "team", "expect": {"match": "Billing"}}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from upturn.errors import DataError
from upturn.records import Json
from upturn.suites.checks import (
    Answered,
    Check,
    Equals,
    Fuzzy,
    Includes,
    JsonEquals,
    Match,
    MaxChars,
    NotIncludes,
    NotReveals,
    OneOf,
)
from upturn.suites.lines import Line, json_lines, texts
from upturn.suites.messages import read_messages
from upturn.suites.suite import COMPLETION, Ask, SuiteRow

_KEYS = ("id", "text", "inputs", "output", "expect")
_CASE = "ignore_case"


def read_rows(path: Path) -> tuple[SuiteRow, ...]:
    """Reads a file of rows.

    Raises:
        DataError: with file and line, the rule and what was found.
    """
    return tuple(_row(line, number) for number, line in enumerate(json_lines(path), start=1))


def _row(line: Line, number: int) -> SuiteRow:
    line.known(_KEYS)
    value, where = line.value, line.where
    output = value.get("output")
    if output is not None and not isinstance(output, str):
        raise DataError(f"output must be a field's name, got {output!r}", where=where)
    return SuiteRow(
        id=row_id(value, number, where),
        asks={COMPLETION: _ask(line)},
        checks=_checks(value.get("expect"), where),
        output=output,
        where=where,
    )


def row_id(value: Mapping[str, Json], number: int, where: str) -> str:
    """Returns a row's own id, or its number.

    Raises:
        DataError: it is no text of one line.
    """
    found = value.get("id", str(number))
    if not isinstance(found, str) or not found.isprintable() or not 0 < len(found) <= 100:
        raise DataError(
            f"id must be a text of 1 to 100 printable characters, got {json.dumps(found)[:80]}",
            where=where,
        )
    return found


def _ask(line: Line) -> Ask:
    value, where = line.value, line.where
    if ("text" in value) == ("inputs" in value):
        raise DataError(
            "a row must have one of text and inputs",
            where=where,
            fix='{"text": "…"} fills the first text field, {"inputs": {"message": "…"}} names it',
        )
    if "text" in value:
        if not isinstance(value["text"], str):
            raise DataError(f"text must be a text, got {value['text']!r}", where=where)
        return Ask(messages=read_messages(value["text"], where=where))
    inputs = value["inputs"]
    if not isinstance(inputs, dict) or not inputs:
        raise DataError("inputs must map the program's input fields to values", where=where)
    return Ask(inputs=inputs)


def _checks(expect: Json, where: str) -> tuple[Check, ...]:
    if not isinstance(expect, dict) or not set(expect) - {_CASE}:
        raise DataError(
            "a row must expect something",
            where=where,
            fix=f'"expect": {{"includes": "…"}}; the checks are {", ".join(_MAKERS)}',
        )
    ignore = expect.get(_CASE)
    if ignore is not None and not isinstance(ignore, bool):
        raise DataError(f"{_CASE} must be true or false, got {ignore!r}", where=where)
    if ignore is not None and not {"includes", "not_includes"} & set(expect):
        raise DataError(f"{_CASE} is for includes and not_includes only", where=where)
    return tuple(_check(k, v, ignore, where) for k, v in expect.items() if k != _CASE)


def _check(name: str, value: Json, ignore: bool | None, where: str) -> Check:
    if name not in _MAKERS:
        raise DataError(f"unknown check {name!r}; the checks are {', '.join(_MAKERS)}", where=where)
    return _MAKERS[name](value, ignore, where)


def _of_texts(kind: Callable[..., Check], name: str, key: str, *, empty: bool = False) -> Any:
    def make(value: Json, ignore: bool | None, where: str) -> Check:
        options: dict[str, Any] = {key: texts(value, what=name, where=where, may_be_empty=empty)}
        if kind in (Includes, NotIncludes) and ignore is not None:
            options[_CASE] = ignore
        return kind(**options)

    return make


def _max_chars(value: Json, ignore: bool | None, where: str) -> Check:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise DataError(f"max_chars must be a whole number >= 1, got {value!r}", where=where)
    return MaxChars(most=value)


def _answered(value: Json, ignore: bool | None, where: str) -> Check:
    if value is not True:
        raise DataError(f"answered must be true, got {value!r}", where=where)
    return Answered()


def _not_reveals(value: Json, ignore: bool | None, where: str) -> Check:
    found = texts(value, what="not_reveals", where=where)
    # Of anything shorter, letters and digits alone are in many an answer by chance.
    short = [t for t in found if sum(c.isalnum() for c in t) < 4]
    if short:
        raise DataError("not_reveals must have >= 4 letters or digits", where=where)
    return NotReveals(texts=found)


_MAKERS: Mapping[str, Callable[[Json, bool | None, str], Check]] = {
    "match": _of_texts(Match, "match", "ideals"),
    "equals": _of_texts(Equals, "equals", "ideals", empty=True),
    "includes": _of_texts(Includes, "includes", "ideals"),
    "fuzzy": _of_texts(Fuzzy, "fuzzy", "ideals", empty=True),
    "json": lambda value, ignore, where: JsonEquals(ideals=(value,)),
    "not_includes": _of_texts(NotIncludes, "not_includes", "texts"),
    "not_reveals": _not_reveals,
    "max_chars": _max_chars,
    "one_of": _of_texts(OneOf, "one_of", "labels"),
    "answered": _answered,
}
