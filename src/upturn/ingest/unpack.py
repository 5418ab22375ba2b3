"""Opens a source as a stream of plain bytes: gzip and zstd are unfolded, bombs are stopped."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from upturn.errors import DataError, StorageError
from upturn.ingest.files import STDIN, check_regular
from upturn.ingest.limits import Limits

CHUNK = 1024**2  # bytes read, and most bytes unfolded, at a time
#: Packed bytes that are unfolded at a time: zstd cannot be told to stop, and this many unfold to
#: 64 MiB at most.
_ZSTD_STEP = 2048

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
#: First bytes of what cannot be read -> (what it is, how to make it readable).
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive", "unzip -p {} | upturn ingest - ..."),
    (b"BZh", "packed with bzip2", "bzcat {} | upturn ingest - ..."),
    (b"\xfd7zXZ\x00", "packed with xz", "xzcat {} | upturn ingest - ..."),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z e -so {} | upturn ingest - ..."),
    (b"SQLite format 3\x00", "an SQLite database", "upturn ingest mlflow:sqlite:///{}#EXPERIMENT"),
)


class TruncatedError(Exception):
    """A packed file ends too early or is damaged; what came before is whole."""


class ByteStream:
    """The plain bytes of one source, as chunks.

    Attributes:
        name: the path as given, or ``"<stdin>"``.
        size: bytes of the file as it lies on disk; None where nobody knows.
        packed: whether the bytes on disk are gzip or zstd.
    """

    def __init__(self, path: str, limits: Limits) -> None:
        self.name = "<stdin>" if path == STDIN else path
        self._limits = limits
        self._file = _open(path)
        self.size = None if path == STDIN else os.fstat(self._file.fileno()).st_size
        self._consumed = 0
        self._jumps = False
        self._head = self._fill(4)
        self.packed = self._head.startswith((_GZIP, _ZSTD))

    def __enter__(self) -> ByteStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def consumed(self) -> int:
        """How many bytes of the file were read so far."""
        return self._file.tell() if self._jumps else self._consumed

    def chunks(self) -> Iterator[bytes]:
        """Yields the content, at most ``CHUNK`` bytes at a time; to be walked once.

        Raises:
            TruncatedError: the packing is damaged or ends too early; all before it was yielded.
            DataError: the content unfolds beyond the limits.
            StorageError: the file cannot be read.
        """
        if not self.packed:
            yield from self._plain()
            return
        unpack = _gunzip if self._head.startswith(_GZIP) else _unzstd
        made = 0
        for chunk in unpack(self._read):
            made += len(chunk)
            self._check(made)
            yield chunk

    def seekable(self) -> BinaryIO:
        """Returns the open file from its start, for a reader that jumps about in it."""
        self._jumps = True
        self._file.seek(0)
        return self._file

    def _check(self, made: int) -> None:
        limits = self._limits
        allowed = max(limits.ratio_after_bytes, self.consumed * limits.ratio)
        if made > min(limits.output_bytes, allowed):
            raise DataError(
                f"a packed file must not unfold to more than {limits.ratio} times its size or "
                f"{limits.output_bytes} bytes, got {made} bytes from the first {self.consumed}",
                where=self.name,
                fix="unpack it yourself where you trust it, and ingest the plain file",
            )

    def _plain(self) -> Iterator[bytes]:
        while chunk := self._read():
            yield chunk

    def _fill(self, n: int) -> bytes:
        """Reads the first bytes; they are read again by the first :meth:`_read`."""
        head = b""
        while len(head) < n and (more := self._raw(CHUNK)):
            head += more
        return head

    def _read(self) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._raw(CHUNK)

    def _raw(self, n: int) -> bytes:
        try:
            data = self._file.read(n)
        except OSError as error:
            what = f"a source must be readable, got: {error.strerror}"
            raise StorageError(what, where=self.name) from error
        self._consumed += len(data)
        return data


def check_head(head: bytes, name: str) -> None:
    """Checks the first plain bytes of a source.

    Raises:
        DataError: they are of an archive, a database, or text in UTF-16 or UTF-32.
    """
    for magic, what, fix in _FOREIGN:
        if head.startswith(magic):
            rule = f"a source must be plain, gzip or zstd; this is {what}"
            raise DataError(rule, where=name, fix=fix.format(name))
    encoding = _wide_encoding(head)
    if encoding:
        raise DataError(
            f"a source must be UTF-8 text, this is {encoding}",
            where=name,
            fix=f"iconv -f {encoding} -t UTF-8 {name} | upturn ingest - ...",
        )


def _wide_encoding(head: bytes) -> str:
    """Names the encoding of text whose characters are two or four bytes, "" where it is not."""
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "UTF-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    # Without a mark: JSON begins with ASCII, so every second byte is zero.
    pair = head[:4]
    if len(pair) == 4 and pair[1] == pair[3] == 0 and pair[0] and pair[2]:
        return "UTF-16LE"
    if len(pair) == 4 and pair[0] == pair[2] == 0 and pair[1] and pair[3]:
        return "UTF-16BE"
    return ""


def _open(path: str) -> BinaryIO:
    if path == STDIN:
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    try:
        # Without O_NONBLOCK, a pipe that took the file's place since it was looked at would hang.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        what = f"a source must be readable, got: {error.strerror}"
        raise StorageError(what, where=path, fix=f"ls -l {path}") from None
    file = os.fdopen(handle, "rb", buffering=0)
    try:
        check_regular(os.fstat(handle).st_mode, path)
    except DataError:
        file.close()
        raise
    return file


def _gunzip(read: Callable[[], bytes]) -> Iterator[bytes]:
    """Unfolds gzip, member by member; what follows the last member is ignored, as gzip does."""
    data = read()
    while data.startswith(_GZIP):
        unzip = zlib.decompressobj(wbits=31)
        while not unzip.eof:
            data = data or read()
            try:
                chunk = unzip.decompress(data, CHUNK)
            except zlib.error as error:
                raise TruncatedError(f"be a whole gzip file, got: {error}") from None
            if chunk:
                yield chunk
            elif not data and not unzip.eof:
                raise TruncatedError("be a whole gzip file, this one ends too early")
            data = unzip.unconsumed_tail
        data = (unzip.unused_data or read()).lstrip(b"\x00")


def _unzstd(read: Callable[[], bytes]) -> Iterator[bytes]:
    """Unfolds zstd, frame by frame."""
    import zstandard

    # The window is what unfolding holds in memory; 128 MiB is what the zstd tool allows as well.
    maker = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    data = read()
    while data:
        frame = maker.decompressobj()
        while not frame.eof:
            data = data or read()
            if not data:
                raise TruncatedError("be a whole zstd file, this one ends too early")
            try:
                chunk = frame.decompress(data[:_ZSTD_STEP])
            except zstandard.ZstdError as error:
                raise TruncatedError(f"be a whole zstd file, got: {error}") from None
            data = data[_ZSTD_STEP:]
            if chunk:
                yield chunk
        data = frame.unused_data + data or read()
