"""From a body to the values in it: one JSON object, a list of them, or JSON lines."""

from __future__ import annotations

import orjson

from upturn.collector.limits import Limits
from upturn.collector.replies import RefusedError
from upturn.events.problems import found
from upturn.records import Json

#: Content types of JSON lines; without one of them the body itself tells.
LINES = (b"application/x-ndjson", b"application/jsonl", b"application/x-jsonlines")


class Unreadable:
    """Stands for a line that is no JSON; holds the rule it breaks."""

    def __init__(self, rule: str) -> None:
        self.rule = rule


def values(body: bytes, content_type: bytes, limits: Limits) -> list[Json | Unreadable]:
    """Returns the events of a body, unchecked, in their order.

    Raises:
        RefusedError: 400 where the body is no JSON, 413 where it holds too many events.
    """
    found_values = _values(body, content_type)
    if len(found_values) > limits.events:
        rule = f"a body must hold at most {limits.events} events, got {len(found_values)}"
        raise RefusedError(413, rule, fix="send fewer events at once")
    # Few brackets cannot be nested deeply: most bodies need no walk.
    if body.count(b"[") + body.count(b"{") > limits.depth:
        return [_shallow(v, limits.depth) for v in found_values]
    return found_values


def _values(body: bytes, content_type: bytes) -> list[Json | Unreadable]:
    if content_type.partition(b";")[0].strip().lower() in LINES:
        return _lines(body)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        lines = body.strip().split(b"\n")
        if len(lines) > 1 and lines[0].strip().endswith(b"}"):
            return _lines(body)
        raise RefusedError(400, f"the body must be JSON or JSON lines, got: {error}") from None
    return value if isinstance(value, list) else [value]


def _lines(body: bytes) -> list[Json | Unreadable]:
    return [_line(line) for line in body.split(b"\n") if line.strip()]


def _line(line: bytes) -> Json | Unreadable:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Unreadable(f"must be one whole JSON object, got: {error}")


def _shallow(value: Json | Unreadable, depth: int) -> Json | Unreadable:
    """Returns a value, or what is wrong with one that is nested too deeply.

    Level by level, because recursion would end where it matters.
    """
    level: list[Json] = [value]
    for _ in range(depth + 1):
        level = [child for v in level for child in _children(v)]
        if not level:
            return value
    return Unreadable(f"must be nested at most {depth} deep, got {found(type(value).__name__)}")


def _children(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
