"""Reads the values that foreign records hold: times, numbers, texts, messages; one rule for all.

Each function returns the value, or raises a ``RejectedError`` that names field, rule and value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import orjson

from upturn.events import Event
from upturn.events.problems import found
from upturn.importers.base import RejectedError, Rejection
from upturn.records import Json, content_hash

_MAX_SECONDS = 253_402_300_799  # the end of the year 9999


def text(record: Mapping[str, Json], key: str) -> str:
    """Returns a required, non-empty text; a number is taken as its digits (some ids are)."""
    value = optional_text(record, key)
    if value is None:
        raise RejectedError(key, f"must be a non-empty text, got {found(record.get(key))}")
    return value


def optional_text(record: Mapping[str, Json], *keys: str) -> str | None:
    """Returns the first text among some keys, or None where all are absent, null or empty."""
    for key in keys:
        value = record.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is not None and not isinstance(value, str):
            raise RejectedError(key, f"must be a text or null, got {found(value)}")
        if value:
            return value
    return None


def optional_number(record: Mapping[str, Json], *keys: str) -> float | None:
    """Returns the first finite number among some keys (digits in a text count), or None."""
    for key in keys:
        value = record.get(key)
        if value is None or value == "":
            continue
        return number(value, key)
    return None


def optional_amount(record: Mapping[str, Json], *keys: str) -> float | None:
    """Returns the first number among some keys, or None: what something took or cost."""
    for key in keys:
        amount = optional_number(record, key)
        if amount is not None and amount < 0:
            raise RejectedError(key, f"must be a number >= 0 or null, got {found(record[key])}")
        if amount is not None:
            return amount
    return None


def number(value: Json, field: str) -> float:
    """Returns a finite number; digits in a text count, because CSV has nothing else."""
    try:
        if isinstance(value, bool):
            raise ValueError
        result = value if isinstance(value, int) else float(value)
        if math.isfinite(result):
            return result
    except (TypeError, ValueError, OverflowError):
        pass
    raise RejectedError(field, f"must be a finite number, got {found(value)}")


def mapping(record: Mapping[str, Json], key: str) -> dict[str, Json]:
    """Returns an object, {} where it is absent; JSON in a text (CSV, attributes) is read."""
    value = decoded(record.get(key))
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise RejectedError(key, f"must be an object or null, got {found(value)}")
    return value


def items(record: Mapping[str, Json], key: str) -> list[Json]:
    """Returns a list, [] where it is absent; JSON in a text is read."""
    value = decoded(record.get(key))
    if value is None or value == "":
        return []
    if not isinstance(value, list):
        raise RejectedError(key, f"must be a list or null, got {found(value)}")
    return value


def decoded(value: Json) -> Json:
    """Returns what JSON in a text holds; any other value, or text that is no JSON, unchanged."""
    if isinstance(value, str) and value[:1] in ("{", "[", '"'):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def fields(value: Json, name: str) -> dict[str, Json]:
    """Returns a value as named fields: an object as it is, anything else under ``name``.

    The names are ``"input"`` for what came in, ``"messages"`` for a list of chat messages, and
    ``"output"`` for an answer.
    """
    value = decoded(value)
    if isinstance(value, dict):
        return value
    if value is None:
        return {}
    if is_messages(value) and name == "input":
        return {"messages": value}
    return {name: value}


def is_messages(value: Json) -> bool:
    """Whether a value is a list of chat messages."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(m, dict) and "role" in m for m in value)
    )


def iso_time(value: Json, field: str) -> str:
    """Returns a time in UTC: ISO 8601 (without a zone it is UTC), or seconds, ms, us or ns.

    The unit of a number is told by its size, which is unambiguous from 1973 to the year 5138.
    """
    if isinstance(value, str) and not value.strip().lstrip("-").isdigit():
        return _from_text(value, field)
    try:
        amount = number(value, field)
        while abs(amount) >= 1e11:
            amount /= 1000
        if 0 <= amount <= _MAX_SECONDS:
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=amount)
            return moment.isoformat()
    except (RejectedError, OverflowError):
        pass
    raise RejectedError(field, f"must be a time, got {found(value)}")


def _from_text(value: str, field: str) -> str:
    try:
        moment = datetime.fromisoformat(value.strip())
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise RejectedError(field, f"must be an ISO 8601 time, got {found(value)}") from None


def optional_time(record: Mapping[str, Json], *keys: str) -> str | None:
    """Returns the first time among some keys, or None where all are absent, null or empty."""
    for key in keys:
        value = record.get(key)
        if value is not None and value != "":
            return iso_time(value, key)
    return None


def milliseconds(start: str | None, end: str | None) -> float | None:
    """Returns what lies between two times of :func:`iso_time`; None where one is unknown."""
    if start is None or end is None:
        return None
    passed = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return max(0.0, passed / timedelta(milliseconds=1))


def derived_id(*parts: Json) -> str:
    """Returns an id for something that has none: a hash of what names it, always the same."""
    return content_hash(list(parts), length=32)


def slices_of(values: Mapping[str, Json]) -> dict[str, str]:
    """Returns the entries that are short texts: what can be a slice."""
    return {k: v for k, v in values.items() if isinstance(v, str) and 0 < len(v) <= 64}


def salvage(
    parts: Iterable[Callable[[], Iterable[Event | Rejection]]],
) -> Iterator[Event | Rejection]:
    """Yields what each part of a record gives; a part that is rejected takes no other with it."""
    for part in parts:
        try:
            yield from part()
        except RejectedError as error:
            yield error.rejection
