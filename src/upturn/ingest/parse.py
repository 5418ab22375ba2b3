"""Reads the text of one JSON object, and says in one sentence what is wrong where it is none."""

from __future__ import annotations

import json
import re

import orjson

from upturn.events.problems import found
from upturn.records import Json

_LARGEST = 2**64 - 1
_SMALLEST = -(2**63)
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_CONSTANT = re.compile(rb"NaN|Infinity")


class _BrokenError(ValueError):
    """A rule that a text breaks though it is JSON."""


def parse_object(data: bytes, max_depth: int) -> tuple[dict[str, Json] | None, str]:
    """Returns an object and "", or None and the rule that the text breaks.

    Refused besides what is no JSON: other values than objects, a key that stands twice in one
    object, integers beyond 64 bits (they would lose digits), nesting beyond ``max_depth``.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return None, _reason(data, error, max_depth)
    if type(value) is not dict:
        return None, f"must be a JSON object, got {found(value)}"
    if data.count(b"{") + data.count(b"[") > max_depth and not _is_flat(value, max_depth):
        return None, f"must not be nested deeper than {max_depth} levels"
    # The text that comes back from the value is equal, or else something was lost, or only the
    # writer puts blanks and escapes elsewhere.
    if (again := orjson.dumps(value)) != data and _may_have_lost(data, again):
        rule = _lost(data)
        if rule:
            return None, rule
    return value, ""


def _may_have_lost(data: bytes, again: bytes) -> bool:
    """Whether keys or digits may be gone. A lost key takes its quotes with it; only an escaped
    quote can hide that."""
    return (
        again.count(b'"') != data.count(b'"')
        or b"\\u0022" in data
        or _LONG_NUMBER.search(data) is not None
    )


def _lost(data: bytes) -> str:
    """Reads the text again, slowly; returns the rule it breaks, or ""."""
    try:
        json.loads(data, object_pairs_hook=_no_repeated_key, parse_int=_no_long_integer)
    except _BrokenError as error:
        return str(error)
    return ""


def _no_repeated_key(pairs: list[tuple[str, Json]]) -> Json:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _BrokenError(f"must not have one key twice in one object, got {found(key)}")
        seen.add(key)
    return None


def _no_long_integer(digits: str) -> int:
    # Beyond 20 digits and a sign it is too long anyway, and int() would take its time.
    if len(digits) > 21 or not _SMALLEST <= int(digits) <= _LARGEST:
        raise _BrokenError(f"must have integers within 64 bits, got {found(digits)}")
    return 0


def _no_constant(name: str) -> Json:
    raise _BrokenError(f"must have finite numbers, got {name}")


def _is_flat(value: Json, depth: int) -> bool:
    """Whether a value is nested no deeper than some levels; level by level, without recursion."""
    level = [value]
    for _ in range(depth):
        below: list[Json] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        level = [v for v in below if isinstance(v, dict | list)]
        if not level:
            return True
    return False


def _reason(data: bytes, error: orjson.JSONDecodeError, max_depth: int) -> str:
    try:
        data.decode()
    except UnicodeDecodeError as wrong:
        return f"must be UTF-8 text, got {wrong.reason} at byte {wrong.start}"
    message = str(error)
    if "depth limit" in message or "recursion" in message.lower():
        return f"must not be nested deeper than {max_depth} levels"
    if "infinity" in message:
        return "must have finite numbers, got one beyond 1.8e308"
    if _CONSTANT.search(data):
        try:
            json.loads(data, parse_constant=_no_constant)
        except _BrokenError as wrong:
            return str(wrong)
        except (ValueError, RecursionError):
            pass
    return f"must be one whole JSON object, got: {message}"
