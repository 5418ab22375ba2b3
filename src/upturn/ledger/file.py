"""The ledger's file: read under a shared lock, appended to under an exclusive one, synced."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from upturn.errors import StorageError


class LedgerFile:
    """A file of lines that several processes may read and append to at once.

    Args:
        path: the file; it and its folder are made by the first append.

    Every method may raise StorageError; a failed append leaves the file as it was.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> bytes:
        """Returns the content, empty where there is no file."""
        try:
            with self.path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                return file.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise _unusable(self.path, "read", error) from error

    @contextmanager
    def locked(self) -> Generator[OpenFile]:
        """Holds the file alone, from reading what there is to the last append."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise _unusable(self.path, "write", error) from error
        with os.fdopen(handle, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield OpenFile(file.fileno(), self.path, file.read())


class OpenFile:
    """A file that is held alone.

    Attributes:
        content: what it held when it was opened.
    """

    def __init__(self, handle: int, path: Path, content: bytes) -> None:
        self._handle = handle
        self._path = path
        self.content = content

    def cut(self, count: int) -> None:
        """Removes bytes at the end."""
        os.ftruncate(self._handle, os.fstat(self._handle).st_size - count)

    def append(self, line: bytes) -> None:
        """Writes one line in one piece, and returns when it is on the disk."""
        size = os.fstat(self._handle).st_size
        ended = size == 0 or os.pread(self._handle, 1, size - 1) == b"\n"
        whole = (b"" if ended else b"\n") + line + b"\n"
        try:
            if os.write(self._handle, whole) != len(whole):
                raise OSError("only a part of the line could be written")
            os.fsync(self._handle)
            if size == 0:
                _sync_folder(self._path.parent)
        except OSError as error:
            os.ftruncate(self._handle, size)
            raise _unusable(self._path, "write", error) from error


def _sync_folder(folder: Path) -> None:
    """Makes a new file's name survive a power cut, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unusable(path: Path, verb: str, error: OSError) -> StorageError:
    return StorageError(
        f"the ledger must be a file that can be read and written, could not {verb} it: {error}",
        where=str(path),
        fix="free disk space or mend the permissions, then run the same command again",
    )
