"""Reads CSV: a row is a record, its keys are the header's names, all its values are text."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

from upturn.errors import DataError
from upturn.ingest.split import Piece, split_lines
from upturn.records import Json

#: Line, value or None, the rule it breaks or "", and about how many bytes it took.
Row = tuple[int, dict[str, Json] | None, str, int]


class _LongRowError(Exception):
    """A row goes on over more lines than a record may have bytes: a quote that is never closed."""


class _Lines:
    """Feeds a ``csv.reader``, counts what it took, and keeps lines apart that are too long."""

    def __init__(self, pieces: Iterator[Piece], limit: int) -> None:
        self._pieces = pieces
        self._limit = limit
        self.line = 0  # the first one of what was taken
        self.taken = 0
        self.too_long: list[int] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        for line, data in self._pieces:
            if data is None:
                self.too_long.append(line)
                continue
            self.line = self.line if self.taken else line
            self.taken += len(data) + 1
            if self.taken > self._limit:
                raise _LongRowError
            # Bytes that are no UTF-8 stay recognisable, so that only their row is refused.
            return data.decode("utf-8", "surrogateescape") + "\n"
        raise StopIteration


def csv_rows(chunks: Iterable[bytes], name: str, limit: int) -> Iterator[Row]:
    """Yields the rows below the header.

    Raises:
        DataError: the header is unreadable or has a name twice.
        TruncatedError: as the chunks do.
    """
    # The module's own limit on a cell is smaller than ours, and can be set for all only.
    csv.field_size_limit(max(csv.field_size_limit(), limit))
    pieces = split_lines(chunks, limit, blank=True)
    first = next((p for p in pieces if p[1] is None or p[1].strip()), None)
    if first is None:
        return
    header, delimiter = _header(first, name)
    lines = _Lines(pieces, limit)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.taken = 0
        made = _next_row(reader, lines, header)
        yield from ((n, None, _too_long(limit), 0) for n in lines.too_long)
        lines.too_long.clear()
        if made is None:
            return
        if made[1] != {}:
            yield made


def _next_row(reader: Iterator[list[str]], lines: _Lines, header: list[str]) -> Row | None:
    """Returns the next row; one with an empty value for a blank line, None at the end."""
    try:
        cells = next(reader)
    except StopIteration:
        return None
    except csv.Error as error:
        return lines.line, None, f"must be CSV, got: {error}", lines.taken
    except _LongRowError:
        return lines.line, None, "must close its quotes within the longest record", lines.taken
    if not cells:
        return lines.line, {}, "", lines.taken
    if len(cells) != len(header):
        rule = f"must have {len(header)} cells as the header has, got {len(cells)}"
        return lines.line, None, rule, lines.taken
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return lines.line, None, "must be UTF-8 text, got other bytes", lines.taken
    return lines.line, dict(zip(header, cells, strict=True)), "", lines.taken


def _too_long(limit: int) -> str:
    return f"must be at most {limit} bytes long"


def _header(first: Piece, name: str) -> tuple[list[str], str]:
    where, data = f"{name}:{first[0]}", first[1]
    if data is None:
        raise DataError("a CSV file must begin with its header, got an endless line", where=where)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"the header must be UTF-8 text, got: {error}", where=where) from None
    delimiter = max(",;\t", key=text.count)
    cells = [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter))]
    repeated = sorted({c for c in cells if cells.count(c) > 1 or not c})
    if repeated:
        raise DataError(
            f"the header must name each column once, got twice or empty: {', '.join(repeated)!r}",
            where=where,
        )
    return cells, delimiter
