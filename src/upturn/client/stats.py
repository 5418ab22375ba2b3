"""What became of a client's events: counted, and said once."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from dataclasses import dataclass, field

log = logging.getLogger("upturn.client")


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Counts since the client was made.

    Attributes:
        recorded: events that the application gave.
        sent: events that the collector has acknowledged.
        rejected: events that the collector refused for good.
        dropped: reason -> events that are lost.
        spilled, drained: events written to disk, and sent from there later.
        pending: events that wait in memory.
        on_disk: bytes that wait on disk.
        retries: requests that failed and are made again.
        errors: exceptions that were swallowed; ``last_error`` names the last one.
    """

    recorded: int = 0
    sent: int = 0
    rejected: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    spilled: int = 0
    drained: int = 0
    pending: int = 0
    on_disk: int = 0
    retries: int = 0
    errors: int = 0
    last_error: str = ""


class Counts:
    """Counters for several threads; each reason is logged once, with a warning."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: set[str] = set()
        self.total: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.last_error = ""

    def add(self, name: str, n: int = 1) -> None:
        """Adds to a counter of :class:`Stats`."""
        with self._lock:
            self.total[name] += n

    def drop(self, reason: str, n: int = 1) -> None:
        """Counts events that are lost."""
        with self._lock:
            self.dropped[reason] += n
        self.say(reason, f"events are dropped ({reason}); client.stats() counts them")

    def swallow(self, error: BaseException) -> None:
        """Counts an exception that the application must not see."""
        with self._lock:
            self.total["errors"] += 1
            self.last_error = type(error).__name__
        self.say(self.last_error, f"an error was swallowed: {self.last_error}")

    def say(self, reason: str, text: str) -> None:
        """Logs a warning, once for each reason."""
        with self._lock:
            if reason in self._said:
                return
            self._said.add(reason)
        log.warning("%s", text)

    def reset_lock(self) -> None:
        """Makes the lock anew in a forked child: another thread may have held it."""
        self._lock = threading.Lock()

    def snapshot(self, *, pending: int, on_disk: int) -> Stats:
        """Returns the counts as they are now."""
        with self._lock:
            counts = {name: self.total[name] for name in _COUNTED}
            return Stats(
                **counts,
                dropped=dict(self.dropped),
                pending=pending,
                on_disk=on_disk,
                last_error=self.last_error,
            )


_COUNTED = ("recorded", "sent", "rejected", "spilled", "drained", "retries", "errors")
