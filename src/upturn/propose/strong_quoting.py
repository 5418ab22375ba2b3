"""Data in a prompt: what users wrote, quoted so that it stays what it is.

Texts of users are shown to a model that is to learn from them. They are JSON strings in a fenced
block, which no text can end: fences, the markers of DSPy's chat format and characters that nobody
sees are written as JSON escapes. A reader of JSON gets the same text back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping

from upturn.records import Json

#: Longer values are cut: one long message must not push the others out of the prompt.
MAX_VALUE_CHARS = 600
_FENCE = "```"
_MARKER = "[[ ##"


def fenced(rows: Iterable[Mapping[str, Json]]) -> str:
    """Returns rows as a fenced block of JSON, one object a line, values cut."""
    lines = "\n".join(json.dumps(_short(row), ensure_ascii=False, default=str) for row in rows)
    return f"{_FENCE}jsonl\n{_escaped(lines)}\n{_FENCE}"


def plain(value: Json) -> Json:
    """Returns a value for a prompt that quotes nothing: cut, and without a format's markers."""
    return _short(value, lambda text: _cut(text).replace(_FENCE, "'''").replace(_MARKER, "[[ #"))


def texts_in(value: Json) -> Iterator[str]:
    """Yields the strings of a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}…"


def _short(value: Json, text: Callable[[str], str] = _cut) -> Json:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _short(item, text) for key, item in value.items()}
    if isinstance(value, list | tuple):
        whole = json.dumps(value, ensure_ascii=False, default=str)
        return [_short(v, text) for v in value] if len(whole) <= MAX_VALUE_CHARS else text(whole)
    return text(str(value))


def _escaped(lines: str) -> str:
    """Escapes within JSON strings; outside them none of these characters occurs."""
    seen = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in lines)
    return seen.replace(_FENCE, "\\u0060" * 3).replace(_MARKER, "\\u005b[ ##")
