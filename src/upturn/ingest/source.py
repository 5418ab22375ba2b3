"""One source as a stream of records, whatever it is packed and written in."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

import orjson

from upturn.errors import StorageError
from upturn.ingest.files import suffix_of
from upturn.ingest.limits import DEFAULT, Limits
from upturn.ingest.parquet import parquet_rows
from upturn.ingest.parse import parse_object
from upturn.ingest.split import Piece, split_lines, split_values
from upturn.ingest.tabular import Row, csv_rows
from upturn.ingest.unpack import ByteStream, TruncatedError, check_head
from upturn.records import Json

_HEAD = 64 * 1024  # bytes that are looked at to tell how a source is written
_BOM = b"\xef\xbb\xbf"


class Record(NamedTuple):
    """One record of a source, or what is wrong with it.

    Attributes:
        number: 1 is the first; lines that are blank are none.
        line: where it begins (in Parquet, the row).
        value: the object; None where it is refused.
        rule: the rule that a refused record breaks; "" where it breaks none.
        size: its bytes.
    """

    number: int
    line: int
    value: dict[str, Json] | None
    rule: str
    size: int


class RecordStream:
    """The records of one source, to be walked once.

    Attributes:
        name: the path as given, or ``"<stdin>"``.
    """

    def __init__(self, stream: ByteStream, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        self.name = stream.name

    @property
    def consumed(self) -> int:
        """Bytes of the file on disk that were read so far."""
        return self._stream.consumed

    @property
    def size(self) -> int | None:
        """Bytes of the file on disk; None where nobody knows."""
        return self._stream.size

    def records(self, *, skip: int = 0) -> Iterator[Record]:
        """Yields the records, refused ones among them, in their order.

        A file that ends too early gives all its whole records and one refused record more.

        Args:
            skip: records to leave out at the start, without reading what is in them.

        Raises:
            DataError: the source as a whole cannot be used: an archive, a bomb, UTF-16.
            StorageError: it cannot be read.
        """
        number = 0
        try:
            for number, row in enumerate(self._rows(skip), start=1):
                if number > skip:
                    yield Record(number, *row)
        except TruncatedError as error:
            yield Record(number + 1, 0, None, f"must {error}", 0)

    def _rows(self, skip: int) -> Iterator[Row]:
        chunks = self._stream.chunks()
        head, chunks = _peek(chunks)
        check_head(head, self.name)
        if head.startswith(b"PAR1"):
            yield from self._parquet(chunks)
            return
        shape, limit = _shape(head, self.name), self._limits.record_bytes
        chunks = _without_mark(chunks)
        if shape == "csv":
            yield from csv_rows(chunks, self.name, limit)
        else:
            split = split_lines if shape == "lines" else split_values
            yield from self._parsed(split(chunks, limit), skip)

    def _parsed(self, pieces: Iterable[Piece], skip: int) -> Iterator[Row]:
        limits = self._limits
        for number, (line, data) in enumerate(pieces):
            if number < skip:
                yield line, None, "", 0
            elif data is None:
                yield line, None, f"must be at most {limits.record_bytes} bytes long", 0
            else:
                value, rule = parse_object(data, limits.depth)
                yield line, value, rule, len(data)

    def _parquet(self, chunks: Iterator[bytes]) -> Iterator[Row]:
        if self._stream.size is not None and not self._stream.packed:
            file, size = self._stream.seekable(), self._stream.size
            yield from parquet_rows(file, self.name, self._limits, size)
            return
        # Its index stands at the end: what comes as a stream is put down first.
        with tempfile.TemporaryFile() as spool:
            size = _spool(chunks, spool, self.name)
            yield from parquet_rows(spool, self.name, self._limits, size)


@contextmanager
def open_records(path: str, limits: Limits = DEFAULT) -> Generator[RecordStream]:
    """Opens a file, or the standard input (``-``), as records.

    Raises:
        DataError: it is no regular file.
        StorageError: it cannot be opened.
    """
    with ByteStream(path, limits) as stream:
        yield RecordStream(stream, limits)


def _peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Returns the first bytes, and all of them again; a cut stream shows what there is of it."""
    taken: list[bytes] = []
    error: TruncatedError | None = None
    try:
        for chunk in chunks:
            taken.append(chunk)
            if sum(map(len, taken)) >= _HEAD:
                break
    except TruncatedError as cut:
        error = cut

    def again() -> Iterator[bytes]:
        yield b"".join(taken)
        if error is not None:
            raise error
        yield from chunks

    return b"".join(taken)[:_HEAD], again()


def _without_mark(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(chunks, b"")
    return itertools.chain([first.removeprefix(_BOM)], chunks)


def _shape(head: bytes, name: str) -> str:
    """Tells ``lines`` of JSON, JSON ``values`` over several lines, and ``csv`` apart."""
    text, suffix = head.removeprefix(_BOM).lstrip(), suffix_of(name)
    if text[:1] in (b"{", b"["):
        if suffix in (".jsonl", ".ndjson"):
            return "lines"
        return "values" if text[:1] == b"[" or _goes_on(text) else "lines"
    first = text.split(b"\n", 1)[0]
    if suffix in (".csv", ".tsv"):
        return "csv"
    is_table = any(mark in first for mark in (b",", b";", b"\t"))
    return "csv" if is_table and suffix not in (".jsonl", ".ndjson", ".json") else "lines"


def _goes_on(text: bytes) -> bool:
    """Whether an object goes on after its first line, as in a document for people."""
    first, newline, _ = text.partition(b"\n")
    if not newline:
        return False
    try:
        orjson.loads(first)
    except orjson.JSONDecodeError:
        return first.rstrip()[-1:] in (b"{", b"[", b",", b":")
    return False


def _spool(chunks: Iterable[bytes], spool: IO[bytes], name: str) -> int:
    try:
        size = sum(spool.write(chunk) for chunk in chunks)
        spool.seek(0)
    except OSError as error:
        what = f"the folder for temporary files must have room, got: {error.strerror}"
        raise StorageError(what, where=name, fix=f"TMPDIR=/large/folder ... ({name})") from None
    return size
