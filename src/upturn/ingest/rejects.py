"""The file that lists what could not be taken: one JSON line each, without the content itself.

``{"file", "line", "record", "field", "reason"}``: ``line`` is where the record begins, ``record``
its number; the reason has been scrubbed. Conflicts are listed as well.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import IO, NamedTuple

import orjson

from upturn.errors import StorageError

_SLOTS = 64  # ingests of one source at the same time that get a file each


class Refusal(NamedTuple):
    """One line of the file, less the source's name."""

    line: int
    record: int
    field: str
    reason: str


class RejectFile:
    """Appends refusals durably; one process writes a file at a time.

    Attributes:
        path: where it lies.
    """

    def __init__(self, path: Path, handle: IO[bytes], *, folder_too: bool = False) -> None:
        self.path = path
        self._file = handle
        self._dirty = False
        self._folder_too = folder_too

    @classmethod
    def at(cls, path: Path) -> RejectFile:
        """Opens one certain file.

        Raises:
            StorageError: it cannot be written, or another ingest writes it.
        """
        made = _locked(path)
        if made is None:
            rule = "a file of rejects must not be in use, another ingest writes to it"
            raise StorageError(rule, where=str(path), fix="name another one with --rejects")
        return made

    @classmethod
    def for_source(cls, folder: Path, name: str, key: str) -> tuple[RejectFile, int]:
        """Opens the file of a source, and tells which of its slots it is.

        Two ingests of one source at the same time get two files, and so each its own count.

        Args:
            name: the source's path; key: what tells it apart from others of its name.

        Raises:
            StorageError: the folder cannot be written.
        """
        base = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(name).name)[:60].strip("._") or "source"
        base += "-" + hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        for slot in range(1, _SLOTS + 1):
            name_of_slot = f"{base}.jsonl" if slot == 1 else f"{base}.{slot}.jsonl"
            made = _locked(folder / name_of_slot, folder_too=True)
            if made is not None:
                return made, slot
        raise StorageError(f"a source is ingested {_SLOTS} times at once", where=name)

    @property
    def size(self) -> int:
        """Bytes of the file, all that was added included."""
        return self._file.tell()

    def keep(self, size: int) -> None:
        """Cuts off what was written after a certain size: it belongs to work that was lost."""
        with _writing(self.path):
            end = self._file.seek(0, os.SEEK_END)
            self._file.truncate(min(size, end))
            self._file.seek(0, os.SEEK_END)

    def add(self, source: str, refusals: Iterable[Refusal]) -> None:
        """Appends refusals; they are on disk after the next :meth:`sync`."""
        lines = [
            orjson.dumps({"file": _text(source), **r._asdict()}, option=orjson.OPT_APPEND_NEWLINE)
            for r in refusals
        ]
        if lines:
            with _writing(self.path):
                self._file.write(b"".join(lines))
            self._dirty = True

    def sync(self) -> None:
        """Puts all that was added on disk."""
        if self._dirty:
            with _writing(self.path):
                self._file.flush()
                os.fsync(self._file.fileno())
            self._dirty = False

    def close(self) -> bool:
        """Closes the file, removes it where it is empty; says whether it is there.

        A folder that only this file was for goes with it.
        """
        try:
            self.sync()
            kept = self.size > 0
            if not kept:
                self.path.unlink(missing_ok=True)
                if self._folder_too:
                    with contextlib.suppress(OSError):  # others have theirs in it
                        self.path.parent.rmdir()
            return kept
        finally:
            with contextlib.suppress(OSError):  # what was not written is in the error above
                self._file.close()


def _text(name: str) -> str:
    """Returns a path as text: Linux has paths that are no UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@contextlib.contextmanager
def _writing(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the file of rejects must be writable, got: {error.strerror}",
            where=str(path),
            fix="free disk space, or name another file with --rejects, and run the same command "
            "again: it goes on where it stopped",
        ) from error


def _locked(path: Path, *, folder_too: bool = False) -> RejectFile | None:
    """Opens and locks a file; None where another process holds it."""
    while True:
        with _writing(path):
            file = _opened(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        if _is_at(file, path):
            file.seek(0, os.SEEK_END)
            return RejectFile(path, file, folder_too=folder_too)
        file.close()  # its last owner removed it between our opening and our locking it


def _opened(path: Path) -> IO[bytes]:
    # Reasons name values that people wrote: for the owner's eyes only.
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    for last_try in (False, False, True):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return os.fdopen(os.open(path, flags, 0o600), "r+b")
        except FileNotFoundError:  # another ingest removed the folder that it left empty
            if last_try:
                raise
    raise AssertionError("the last try returns or raises")


def _is_at(file: IO[bytes], path: Path) -> bool:
    mine = os.fstat(file.fileno())
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)
