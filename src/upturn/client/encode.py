"""Any value as JSON. The application's objects are foreign: none may make recording fail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import orjson

from upturn.records import Json

#: Characters of an object that has nothing but its text to show.
MAX_TEXT = 10_000


def fragment(value: object) -> orjson.Fragment:
    """Returns a value's JSON, to be put into a line; what is no JSON becomes text."""
    return orjson.Fragment(dumps(value))


def dumps(value: object) -> bytes:
    """Returns a value's JSON.

    Raises:
        ValueError, RecursionError: the value refers to itself, or is nested too deeply.
    """
    try:
        return orjson.dumps(value, default=_plain)
    except (TypeError, ValueError):
        # Lone surrogates, keys that are no texts, integers beyond 64 bits.
        text = json.dumps(_clean(value, 0), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8", "replace")


def _plain(value: object) -> Json:
    """Returns something that JSON knows for something that it does not."""
    try:
        return _shown(value)
    except Exception:  # the application's own methods
        return f"<{type(value).__name__}>"


def _shown(value: object) -> Json:
    if isinstance(value, orjson.Fragment):
        return orjson.loads(orjson.dumps(value))
    for name in ("model_dump", "toDict", "to_dict"):
        method = getattr(value, name, None)
        if callable(method):
            return method(mode="json") if name == "model_dump" else method()
    if isinstance(value, Mapping):
        return {str(k): v for k, v in value.items()}
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, Iterable) and hasattr(value, "__len__"):
        return list(value)
    return str(value)[:MAX_TEXT]


def _clean(value: object, depth: int) -> Json:
    if depth > 100:
        raise ValueError("nested too deeply")
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(k): _clean(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v, depth + 1) for v in value]
    return _clean(_plain(value), depth + 1)
