"""Values of OTLP/JSON: attributes, and ids in hex or base64."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import lru_cache
from typing import cast

from upturn.events.problems import found
from upturn.importers.base import RejectedError
from upturn.importers.fields import items, number
from upturn.records import Json

_HEX = frozenset("0123456789abcdefABCDEF")
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_DEEPEST = 32  # real attributes are a few levels deep; deeper ones are an attack on the stack


def attributes(
    record: Mapping[str, Json], key: str = "attributes", *, depth: int = 0
) -> dict[str, Json]:
    """Returns attributes as a plain object; of a key that is there twice the last counts."""
    return dict([_entry(entry, key, depth) for entry in items(record, key)])


def _entry(entry: Json, key: str, depth: int) -> tuple[str, Json]:
    if isinstance(entry, dict) and isinstance(entry.get("key"), str):
        return entry["key"], _plain(entry.get("value"), depth)
    raise RejectedError(key, f'must be a list of {{"key", "value"}}, got {found(entry)}')


def _plain(value: Json, depth: int) -> Json:
    """Returns the value that an ``AnyValue`` wraps; None where it is empty."""
    if not isinstance(value, dict) or not value:
        return None
    kind, inner = next(iter(cast(dict[str, Json], value).items()))
    if kind == "stringValue":
        return inner
    if kind == "intValue":
        return _whole(inner)
    if kind == "doubleValue":
        # JSON has no NaN; its name is all that can be kept.
        return inner if inner in _NOT_FINITE else number(inner, "doubleValue")
    return _nested(kind, inner, depth + 1) if kind in ("arrayValue", "kvlistValue") else inner


def _nested(kind: str, inner: Json, depth: int) -> Json:
    if depth > _DEEPEST:
        raise RejectedError("attributes", f"must be nested at most {_DEEPEST} deep")
    if kind == "arrayValue":
        return [_plain(v, depth) for v in items(_inner(inner), "values")]
    return attributes(_inner(inner), "values", depth=depth)


def _inner(value: Json) -> dict[str, Json]:
    return cast(dict[str, Json], value) if isinstance(value, dict) else {}


def _whole(value: Json) -> int:
    """64 bits are written as text, because a float has no room for them."""
    if isinstance(value, str) and len(value) <= 20 and value.removeprefix("-").isdecimal():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise RejectedError("intValue", f"must be a whole number, got {found(value)}")


def hex_id(value: Json, size: int, field: str) -> str:
    """Returns an id of ``size`` bytes as lower-case hex; base64, as some exporters write, counts.

    Raises:
        RejectedError: it is neither, or all zeros, which OTLP calls invalid.
    """
    digits = _digits(value, size) if isinstance(value, str) else None
    if digits is None:
        raise RejectedError(field, f"must be {size * 2} hex digits, got {found(value)}")
    return digits


@lru_cache(maxsize=4096)  # a trace's id stands in each of its spans, a span's in its children
def _digits(value: str, size: int) -> str | None:
    if len(value) == size * 2 and _HEX.issuperset(value):
        return value.lower() if value.strip("0") else None
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded.hex() if len(decoded) == size and any(decoded) else None
