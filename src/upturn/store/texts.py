"""Texts and JSON as both databases can hold them, and the keys and hashes made of them.

Rules, the same on SQLite and PostgreSQL:

- In a text of its own (ids, names, comments, errors) a NUL character or a lone surrogate becomes
  U+FFFD. PostgreSQL holds no NUL, and UTF-8 no lone surrogate.
- Inside JSON both stay: they are written as escapes.
- NaN and infinity become null: JSON has neither. (Beside a lone surrogate or an integer beyond 64
  bits they are refused.)
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b, sha256

import orjson

from upturn.errors import DataError
from upturn.records import Json

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
#: What JSON starts with that only the standard library reads back as it was: integers beyond 64
#: bits and lone surrogates. A blank is nothing to a JSON reader.
_SLOW = " "


def clean(text: str) -> str:
    """Returns a text without the characters that a database refuses."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub("\ufffd", text)


def utc(text: str) -> str:
    """Returns a time in UTC, written so that it sorts as text.

    Raises:
        DataError: it is no ISO 8601 time with a zone.
    """
    try:
        moment = datetime.fromisoformat(text)
        # The common case: exactly what isoformat() writes for a time in UTC.
        if text[-6:] == "+00:00" and len(text) in (25, 32) and text[10] == "T":
            return text
        if moment.tzinfo is not None:
            return moment.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        pass
    raise DataError(f"a time must be ISO 8601 with a zone, got {text[:40]!r}")


def number(value: float | None) -> float | None:
    """Returns a number as both databases hold it: a finite double, or None."""
    if value is None:
        return None
    result = float(value)
    return result if math.isfinite(result) else None


def dump(value: Json) -> str:
    """Returns a value's JSON, keys in their order.

    Raises:
        DataError: it is no JSON, or nested too deep to be written.
    """
    try:
        return orjson.dumps(value, default=_plain).decode()
    except orjson.JSONEncodeError:
        return _SLOW + _dump_slowly(value, sort_keys=False)


def dump_or_none(value: Json) -> str | None:
    """Returns :func:`dump` of a value, None for None."""
    return None if value is None else dump(value)


def load(text: str) -> Json:
    """Returns the value that :func:`dump` wrote."""
    return json.loads(text) if text[:1] == _SLOW else orjson.loads(text)


def load_or_none(text: str | None) -> Json:
    """Returns :func:`load` of a text, None for None."""
    return None if text is None else load(text)


def key_of(text: str) -> bytes:
    """Returns the 16 bytes under which an id is found."""
    return blake2b(text.encode(), digest_size=16).digest()


def fingerprint(value: Json) -> tuple[bytes, bool]:
    """Returns 16 bytes that tell contents apart, and whether every text in it can be stored.

    The order of an object's keys is no content.
    """
    try:
        said = orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS)
        storable = b"\\u0000" not in said
    except orjson.JSONEncodeError:
        said, storable = _dump_slowly(value, sort_keys=True).encode(), False
    return blake2b(said, digest_size=16).digest(), storable


def tombstone(kind: str, text: str) -> bytes:
    """Returns what is kept of something forgotten: the sha256 of its kind and id."""
    return sha256(f"{kind}\x00{text}".encode()).digest()


def _plain(value: object) -> Json:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _dump_slowly(value: Json, *, sort_keys: bool) -> str:
    """Takes what orjson refuses: large integers, lone surrogates, and deeper nesting."""
    try:
        return json.dumps(
            value,
            default=_plain,
            separators=(",", ":"),
            sort_keys=sort_keys,
            allow_nan=False,
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"an event must be JSON that can be written: {error}") from None
