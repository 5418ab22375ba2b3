"""Events that wait on disk: whole segments of native lines, bounded in bytes.

A segment appears under its name only when it is whole and on the disk, so that a reader never sees
half of one. The files are native logs: ``upturn ingest FOLDER`` reads them too. Several processes
may share a folder; two that send one segment send events that the collector knows already.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Sequence
from pathlib import Path

import orjson


class Spill:
    """One folder of segments. All methods raise ``OSError`` where the disk does.

    Args:
        folder: made when it is needed, readable for its owner only.
        limit: bytes that all segments together may have.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self._limit = limit
        self._numbers = itertools.count()

    def write(self, lines: Sequence[bytes]) -> bool:
        """Writes one segment durably, and returns whether there was room for it."""
        data = b"\n".join([*lines, b""])
        if self.size() + len(data) > self._limit:
            return False
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The time first: names sort by age, and two starts of one process id do not meet.
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(self._numbers)}"
        target = self.folder / f"{name}.jsonl"
        draft = self.folder / f"{name}.tmp"
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(draft, target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        self._sync_folder()
        return True

    def segments(self) -> list[Path]:
        """Returns the segments, the oldest first."""
        return sorted(self.folder.glob("*.jsonl")) if self.folder.is_dir() else []

    def size(self) -> int:
        """Returns the bytes of all segments."""
        total = 0
        for path in self.segments():
            with contextlib.suppress(FileNotFoundError):  # another process has just sent it
                total += path.stat().st_size
        return total

    def read(self, segment: Path) -> tuple[list[bytes], int]:
        """Returns a segment's lines, and how many were no events (somebody edited the file)."""
        try:
            lines = [s for line in segment.read_bytes().split(b"\n") if (s := line.strip())]
        except FileNotFoundError:
            return [], 0
        good = [line for line in lines if _is_event(line)]
        return good, len(lines) - len(good)

    def remove(self, segment: Path) -> None:
        """Removes a segment that was sent."""
        segment.unlink(missing_ok=True)

    def _sync_folder(self) -> None:
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _is_event(line: bytes) -> bool:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and value.get("kind") in ("request", "feedback")
