"""The workspace: a project's database, snapshots, cache and ledger; one run at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import tempfile
from collections.abc import Generator
from pathlib import Path

from upturn.errors import CorruptionError, StorageError
from upturn.records import Json, content_hash

_DISK = {
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file size limit is reached",
    errno.ENOTDIR: "a file stands where a folder must be",
}


class Workspace:
    """The folder that a config calls ``workspace``.

    Args:
        folder: absolute path; created at first use.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def cache(self) -> Path:
        """Answers of language models, by content."""
        return self.folder / "cache.db"

    @property
    def ledger(self) -> Path:
        """Looks, decisions, promotions: append-only."""
        return self.folder / "ledger.jsonl"

    @property
    def evidence(self) -> Path:
        """What decisions rested on, a file each, named by content."""
        return self.folder / "evidence"

    @property
    def snapshots(self) -> Path:
        return self.folder / "snapshots"

    @property
    def jobs(self) -> Path:
        """Fine-tune jobs, a folder each."""
        return self.folder / "jobs"

    @property
    def adapters(self) -> Path:
        """Trained adapters, a folder each, named by content."""
        return self.folder / "adapters"

    def turn(self, turn_id: str) -> Path:
        """The folder of one turn: its result, rows, study and report."""
        return self.folder / "turns" / turn_id

    def turns(self) -> list[str]:
        """Ids of all turns that left a result, oldest first."""
        folder = self.folder / "turns"
        found = folder.glob("*/result.json") if folder.is_dir() else []
        return [p.parent.name for p in sorted(found, key=lambda p: p.stat().st_mtime)]

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Holds the workspace for one run.

        Raises:
            StorageError: another process holds it, or the folder cannot be written.
        """
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = (self.folder / ".lock").open("a+", encoding="utf-8")
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                holder = handle.read().strip() or "unknown process"
                raise StorageError(
                    f"another run holds this workspace: {holder}",
                    where=str(self.folder),
                    fix="wait for it, or set workspace=OTHER_FOLDER",
                ) from None
            with disk_errors(self.folder):
                handle.truncate(0)
                handle.write(f"process {os.getpid()}\n")
                handle.flush()
            yield


@contextlib.contextmanager
def disk_errors(where: Path) -> Generator[None]:
    """Turns what a disk can do to us into a StorageError that says so."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise StorageError(
            f"cannot write: {_DISK[error.errno]}",
            where=str(error.filename or where),
            fix="free or mount the disk, then run the same command again: nothing paid for is lost",
        ) from error


def write_json(path: Path, value: Json) -> None:
    """Writes a JSON file atomically, with the hash of its content inside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        {"sha256": content_hash(value), "content": value}, indent=1, ensure_ascii=False
    )
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Writes a text file so that a reader sees the old or the new, never half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> Json:
    """Reads what ``write_json`` wrote.

    Raises:
        CorruptionError: the content does not match its hash.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        found, content = value["sha256"], value["content"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptionError(f"is no record of Upturn's: {error}", where=str(path)) from None
    if content_hash(content) != found:
        raise CorruptionError(
            f"content must hash to {found[:12]}, got {content_hash(content)[:12]}",
            where=str(path),
            fix=f"remove {path.parent} and run again; the ledger keeps its looks",
        )
    return content
