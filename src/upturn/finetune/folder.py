"""A job's folder: one job at a time, files whole or not at all, events read as they come.

Names are those of ``records``; ``fingerprint.json`` says what the weights in it depend on. What the
disk does to us (full, read-only) comes out as ``OSError``; ``pipeline`` names it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upturn.errors import CorruptionError, StorageError
from upturn.finetune.files import file_hash, read_json, write_json, write_lines
from upturn.finetune.records import (
    CHECKPOINTS,
    DEV,
    DEV_ROWS,
    EVENTS,
    FINAL,
    RESULT,
    ROWS,
    WORK,
    Event,
    TrainingRow,
    WorkOrder,
)
from upturn.records import Example, Json, content_hash

FINGERPRINT, LOG, MANIFEST, START = "fingerprint.json", "worker.log", "manifest.json", "start"
#: How long the lock of a process that has died may outlive it: its worker writes a last checkpoint.
_LEAVING_S = 60.0
#: A process that was killed just now may still look alive for a moment.
_MOMENT_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A whole checkpoint: every file of its manifest is there with its hash."""

    step: int
    folder: Path


@dataclass(frozen=True)
class JobFolder:
    """The folder of one job.

    Args:
        path: absolute; made at first use.
    """

    path: Path

    @property
    def order(self) -> Path:
        return self.path / WORK

    @property
    def events(self) -> Path:
        return self.path / EVENTS

    @property
    def log(self) -> Path:
        """What the worker and its libraries print."""
        return self.path / LOG

    @property
    def final(self) -> Path:
        return self.path / FINAL

    @property
    def start(self) -> Path:
        """The adapter that a branched job starts from."""
        return self.path / START

    @contextlib.contextmanager
    def locked(self) -> Generator[int]:
        """Holds the folder for one job; yields the lock's file descriptor for the worker to share.

        A worker that has the descriptor keeps the folder locked until it has ended, too, so that
        a job that goes on never meets one that is still writing.

        Raises:
            StorageError: another job holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("a+", encoding="utf-8") as handle:
            self._take(handle)
            handle.truncate(0)
            handle.write(f"process {os.getpid()}\n")
            handle.flush()
            yield handle.fileno()

    def _take(self, handle: Any) -> None:
        since = time.monotonic()
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                handle.seek(0)
                holder = handle.read().strip() or "unknown process"
                patience_s = _LEAVING_S if _is_dead(holder) else _MOMENT_S
                if time.monotonic() - since > patience_s:
                    raise StorageError(
                        f"one job at a time may train in a folder; another holds it: {holder}",
                        where=str(self.path),
                        fix="wait for it, or give this job another name=…",
                    ) from None
            time.sleep(0.1)

    def write(
        self,
        order: WorkOrder,
        rows: Iterable[TrainingRow],
        dev_rows: Iterable[TrainingRow],
        dev: Iterable[Example],
    ) -> None:
        """Writes all that a worker needs; ``work.json`` last."""
        for name, values in ((ROWS, rows), (DEV_ROWS, dev_rows), (DEV, dev)):
            write_lines(self.path / name, values)
        self.write_order(order)

    def write_order(self, order: WorkOrder) -> None:
        write_json(self.order, order.to_json())

    def read_order(self) -> WorkOrder | None:
        """Returns what the folder's worker was told, or None where nothing was written yet."""
        value = read_json(self.order)
        return None if value is None else WorkOrder.from_json(value)

    def read_json(self, name: str) -> Json:
        """Returns a JSON file of the folder, or None where it is not there.

        Raises:
            CorruptionError: it is no JSON.
        """
        return read_json(self.path / name)

    def write_json(self, name: str, value: Json) -> None:
        """Writes a JSON file of the folder, whole or not at all."""
        write_json(self.path / name, value)

    def write_result(self, value: Json) -> None:
        """Writes ``result.json``, with the hash of its content."""
        write_json(self.path / RESULT, {"sha256": content_hash(value), "content": value})

    def read_result(self) -> Json:
        """Returns what ``write_result`` wrote, or None.

        Raises:
            CorruptionError: the content does not match its hash.
        """
        value = read_json(self.path / RESULT)
        if value is None:
            return None
        content = value.get("content") if isinstance(value, dict) else None
        if content is None or content_hash(content) != value.get("sha256"):
            raise CorruptionError(
                "the recorded result must match its hash",
                where=str(self.path / RESULT),
                fix="remove the file and run the job again: it goes on from its checkpoint",
            )
        return content

    def newest_checkpoint(self) -> Checkpoint | None:
        """Returns the whole checkpoint of the highest step; one that a kill left half is none."""
        folders = (self.path / CHECKPOINTS).glob("step-*")
        for folder in sorted(folders, key=lambda f: f.name, reverse=True):
            number = folder.name.removeprefix("step-")
            if number.isdigit() and is_whole(folder):
                return Checkpoint(step=int(number), folder=folder)
        return None

    def mend_events(self) -> None:
        """Ends a line that a kill tore, so that what is written next stands on its own."""
        if not self.events.exists():
            return
        with self.events.open("rb+") as file:
            file.seek(0, os.SEEK_END)
            if not file.tell():
                return
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")


class EventReader:
    """Reads a job's events as they are written.

    Args:
        path: of ``events.jsonl``; need not exist yet.
        from_end: leave out what is there already.
    """

    def __init__(self, path: Path, *, from_end: bool = False) -> None:
        self._path = path
        self._offset = path.stat().st_size if from_end and path.exists() else 0
        self._rest = b""

    def read(self) -> list[Event]:
        """Returns the events since the last call; a line that has not ended yet is left for later.

        A line that is no event is left out: a full disk tears a line in the middle.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        found = [_event(line) for line in lines]
        return [event for event in found if event is not None]


def is_whole(folder: Path) -> bool:
    """Whether a folder holds every file that its manifest names, with its hash."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files: Mapping[str, str] = manifest.get("files", manifest)
        return bool(files) and all(file_hash(folder / n) == h for n, h in files.items())
    except (OSError, ValueError, AttributeError):
        return False


def _event(line: bytes) -> Event | None:
    try:
        return Event.from_json(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_dead(holder: str) -> bool:
    """Whether the process that a lock file names has ended, waited for by its parent or not."""
    number = holder.removeprefix("process ")
    if not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
        stat = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except ProcessLookupError:
        return True
    except OSError:  # another user's, or a system without /proc
        return False
    return stat.rpartition(")")[2].split()[:1] == ["Z"]
