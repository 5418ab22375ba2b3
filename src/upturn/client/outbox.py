"""Events that wait in memory: bounded by number and by bytes, for several threads."""

from __future__ import annotations

import threading
from collections import deque

from upturn.client.options import Options


class Outbox:
    """A queue of lines.

    Attributes:
        some: set when there may be a line to take.
        enough: set when there is a whole batch, or no reason to wait for one.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self.some = threading.Event()
        self.enough = threading.Event()

    def __len__(self) -> int:
        return len(self._lines)

    def put(self, line: bytes) -> bool:
        """Adds a line, and returns whether there was room. Never waits for room."""
        options = self._options
        with self._lock:
            n = len(self._lines) + 1
            if n > options.queue_events or self._bytes + len(line) > options.queue_bytes:
                return False
            self._lines.append(line)
            self._bytes += len(line)
        if n == 1:
            self.some.set()
        elif n == options.batch_events:
            self.enough.set()
        return True

    def put_back(self, lines: list[bytes]) -> int:
        """Puts lines back in front, as many as there is room for; returns how many were not."""
        with self._lock:
            room = max(0, self._options.queue_events - len(self._lines))
            kept = lines[:room]
            self._lines.extendleft(reversed(kept))
            self._bytes += sum(map(len, kept))
        return len(lines) - len(kept)

    def take(self) -> list[bytes]:
        """Returns the lines of one batch; [] where none waits."""
        taken: list[bytes] = []
        size = 0
        with self._lock:
            while self._lines and len(taken) < self._options.batch_events:
                size += len(self._lines[0])
                if taken and size > self._options.batch_bytes:
                    break
                line = self._lines.popleft()
                self._bytes -= len(line)
                taken.append(line)
        return taken
