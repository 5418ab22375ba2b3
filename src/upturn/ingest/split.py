"""Cuts a stream of bytes into records: lines, or the elements of a JSON array.

Both give ``(line, data)``: the line where the record begins (1 is the first) and its bytes, or
None where it is longer than the limit; such a record is skipped without being held.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import orjson

from upturn.ingest.unpack import TruncatedError

Piece = tuple[int, bytes | None]


def split_lines(chunks: Iterable[bytes], limit: int, *, blank: bool = False) -> Iterator[Piece]:
    """Yields the lines without their ends, blank ones only where asked for.

    Raises:
        TruncatedError: as the chunks do; a whole JSON text before the cut is yielded first.
    """
    line, rest, skipping = 1, b"", False
    try:
        for chunk in chunks:
            if skipping:
                end = chunk.find(b"\n")
                if end < 0:
                    continue
                yield line, None
                line, chunk, skipping = line + 1, chunk[end + 1 :], False
            *whole, rest = (rest + chunk).split(b"\n")
            for data in whole:
                if blank or not (data == b"" or data.isspace()):
                    yield line, data.removesuffix(b"\r") if len(data) <= limit else None
                line += 1
            if len(rest) > limit:
                skipping, rest = True, b""
    except TruncatedError:
        if _is_json(rest):
            yield line, rest
        raise
    if skipping:
        yield line, None
    elif rest.strip():
        yield line, rest.removesuffix(b"\r")


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def split_values(chunks: Iterable[bytes], limit: int) -> Iterator[Piece]:
    """Yields the elements of a JSON array, or the JSON objects that stand one after another.

    Raises:
        TruncatedError: as the chunks do; whole elements before the cut are yielded first.
    """
    cutter = _Cutter(limit)
    for chunk in chunks:
        yield from cutter.feed(chunk)
    yield from cutter.end()


#: Brackets, and whole strings where they have no escapes; else the quote that opens one. Commas
#: matter between elements only.
_DEEP = re.compile(rb'"(?:[^"\\]*+")?+|[{}\[\]]')
_SHALLOW = re.compile(rb'"(?:[^"\\]*+")?+|[{}\[\],]')
_INSIDE = re.compile(rb'["\\]')
_OPEN = b"{["
_CLOSE = b"}]"


class _Cutter:
    """Follows strings and brackets, and nothing else: what is in a record is for the parser.

    Elements of an array stand one level deep and end with a comma or with the array; objects that
    stand one after another end where they close.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._base = -1  # depth at which elements stand; unknown before the first character
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._held: list[bytes] = []
        self._size = 0
        self._line = 1
        self._first_line = 1  # where the element begins

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        start = position = self._begin(chunk) if self._base < 0 else 0
        while position < len(chunk):
            position, ends = self._step(chunk, position)
            if ends:
                # The comma or bracket that ends an element of an array is not part of it.
                keep = position - 1 if self._base else position
                self._hold(chunk[start:keep])
                yield from self._take()
                self._line += chunk.count(b"\n", keep, position)
                start = position
        self._hold(chunk[start:])

    def end(self) -> Iterator[Piece]:
        """Yields what is left when the stream ends.

        Raises:
            TruncatedError: an array is not closed, and no broken element shows it.
        """
        whole = not self._size or (self._size <= self._limit and _is_json(b"".join(self._held)))
        yield from self._take()
        if self._base > 0 and self._depth > 0 and whole:
            raise TruncatedError("end where its array is closed, this one ends too early")

    def _begin(self, chunk: bytes) -> int:
        """Finds out whether this is an array; returns where its content starts."""
        text = chunk.lstrip()
        if not text:
            return len(chunk)
        start = len(chunk) - len(text)
        self._line += chunk.count(b"\n", 0, start)
        self._first_line = self._line
        self._base = self._depth = int(text[:1] == b"[")
        return start + self._base

    def _step(self, chunk: bytes, position: int) -> tuple[int, bool]:
        """Goes on to where an element ends, or to the end of the chunk; says which it is."""
        base, depth = self._base, self._depth
        while not self._in_string:
            match = (_SHALLOW if base and depth <= base else _DEEP).search(chunk, position)
            if match is None:
                position = len(chunk)
                break
            position, token = match.end(), match[0]
            if token[0] in _OPEN:
                depth += 1
            elif token[0] in _CLOSE:
                depth -= 1
                if depth < base or not (base or depth > 0):
                    self._depth = depth
                    return position, True
            elif token == b",":
                self._depth = depth
                return position, True
            else:
                self._in_string = len(token) == 1
        self._depth = depth
        return (self._in_text(chunk, position) if self._in_string else position), False

    def _in_text(self, chunk: bytes, position: int) -> int:
        if self._escaped:
            self._escaped = False
            return position + 1
        match = _INSIDE.search(chunk, position)
        if match is None:
            return len(chunk)
        if match[0] == b'"':
            self._in_string = False
        else:
            self._escaped = True
        return match.end()

    def _hold(self, data: bytes) -> None:
        if not self._size:
            text = data.lstrip()
            self._line += data.count(b"\n", 0, len(data) - len(text))
            self._first_line, data = self._line, text
        self._line += data.count(b"\n")
        self._size += len(data)
        if self._size <= self._limit:
            self._held.append(data)
        else:
            self._held.clear()

    def _take(self) -> Iterator[Piece]:
        size, data, line = self._size, b"".join(self._held).rstrip(), self._first_line
        self._size = 0
        self._held.clear()
        if size > self._limit:
            yield line, None
        elif data:
            yield line, data
