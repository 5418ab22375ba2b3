"""Upturn's own log lines (docs/native-format.md), in any order and from any file.

Where :func:`upturn.events.read_log` refuses a log for one bad line, this takes all others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import ClassVar

from upturn.events import Event, Problems
from upturn.events.checks import LineCheck, check_feedback, check_kind, check_request
from upturn.events.lines import Line
from upturn.importers.base import RejectedError, Rejection
from upturn.importers.fields import decoded
from upturn.records import Json

#: Keys whose values CSV and Parquet can hold only as JSON in a text.
_STRUCTURED = frozenset(
    {"upturn", "inputs", "outputs", "usage", "slices", "consent", "by", "value", "latency_ms"}
    | {"cost_usd"}
)


class NativeImporter:
    """Native lines; ``origin`` and ``raw`` stay empty, because nothing is translated."""

    name: ClassVar[str] = "native"
    title: ClassVar[str] = "Upturn's native log"

    def recognises(self, record: Mapping[str, Json]) -> bool:
        return "upturn" in record

    def events(self, record: Mapping[str, Json]) -> Iterable[Event | Rejection]:
        return (checked(_unfolded(record)),)


def checked(record: Mapping[str, Json]) -> Event:
    """Returns the event of a native line.

    Raises:
        RejectedError: it breaks rules; the first is named with its field, the others follow.
    """
    problems = _Listed()
    check = LineCheck(Line(file="", number=0, value=dict(record), text=""), problems, None)
    kind, event = check_kind(check), None
    if kind:
        event = check_request(check) if kind == "request" else check_feedback(check)
    if event is None:
        (field, rule), *others = problems.found
        raise RejectedError(field, "; ".join([rule, *(f"{f} {r}" for f, r in others)]))
    return event


class _Listed(Problems):
    """Keeps every problem of the one line that is checked."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def add(self, file: str, line: int, field: str, rule: str) -> None:
        self.found.append((field, rule))


def _unfolded(record: Mapping[str, Json]) -> Mapping[str, Json]:
    """Reads what a table holds: JSON in texts, and empty cells, which say nothing.

    A line of JSON is left as it is: there, a text in place of an object is a mistake.
    """
    if not _is_row(record):
        return record
    row = {key: _cell(key, value) for key, value in record.items()}
    if record.get("kind") == "feedback":
        row["value"] = row.get("value")
    return {k: v for k, v in row.items() if v is not None or k in ("user", "value")}


def _is_row(record: Mapping[str, Json]) -> bool:
    """Whether a record is a table's: its version is a text, or it has the columns of both kinds."""
    return type(record.get("upturn")) is str or ("inputs" in record and "by" in record)


def _cell(key: str, value: Json) -> Json:
    if value == "":
        return None
    if key not in _STRUCTURED or type(value) is not str:
        return value
    if value in ("true", "false"):
        return value == "true"
    return _number(value) if decoded(value) is value else decoded(value)


def _number(text: str) -> Json:
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):
        return text
    return int(number) if number.is_integer() and text.lstrip("-").isdigit() else number


IMPORTER = NativeImporter()
