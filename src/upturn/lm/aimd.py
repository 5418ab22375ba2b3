"""How many calls a server can take at once: found out while it is used."""

from __future__ import annotations

import math
import statistics
import threading
from collections import deque
from concurrent.futures import Future

from upturn.lm.clock import Clock

#: What is left of the limit after a refusal, and after the latency has grown.
_AFTER_REFUSAL, _AFTER_SLOWNESS = 0.5, 0.75
#: Answers in one median; medians that are remembered, so that longer prompts become normal.
_WINDOW, _REMEMBERED = 16, 20
#: A median this many times the best one, and slower by this much, is a server under load.
_SLOWER, _SLACK_S = 3.0, 0.1


class LatencyWatch:
    """Says when answers take much longer than they did."""

    def __init__(self) -> None:
        self._recent: list[float] = []
        self._medians: deque[float] = deque(maxlen=_REMEMBERED)

    def has_grown(self, latency_s: float) -> bool:
        """Takes the latency of one answer; every 16 of them are judged together."""
        self._recent.append(latency_s)
        if len(self._recent) < _WINDOW:
            return False
        median = statistics.median(self._recent)
        self._recent = []
        self._medians.append(median)
        best = min(self._medians)
        return median > best * _SLOWER and median - best > _SLACK_S


class Gate:
    """Lets between 1 and ``most`` calls through at once, first come, first served.

    Additive increase, multiplicative decrease: each answered round raises the limit by one, a
    refusal halves it, much longer latency takes a quarter. That rule alone, of the linear ones,
    ends fair and efficient when several clients share a server (Chiu and Jain 1989, "Analysis of
    the increase and decrease algorithms for congestion avoidance in computer networks"). Calls
    that were on their way when the limit fell do not make it fall again.

    Threads and tasks share one gate; nothing here waits.

    Args:
        most: the highest limit, and the first.
        clock: the time.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._limit = float(most)
        self._busy = 0
        self._waiting: deque[Future[None]] = deque()
        self._fell_s = self._closed_until_s = -math.inf
        self._watch = LatencyWatch()

    @property
    def limit(self) -> int:
        """Calls that may be under way now."""
        return int(self._limit)

    def enter(self) -> Future[None]:
        """Returns a future that ends when the caller may go; ``leave`` must follow then."""
        turn: Future[None] = Future()
        with self._lock:
            self._waiting.append(turn)
            self._admit()
        return turn

    def leave(self, turn: Future[None]) -> None:
        """Gives up a turn, whether it has come or not; the place goes to who waits longest."""
        if turn.cancel():
            return
        with self._lock:
            self._busy -= 1
            self._admit()

    def answered(self, started_s: float, latency_s: float) -> None:
        """Takes note of an answer: the limit grows, or falls where answers have become slow."""
        with self._lock:
            if self._watch.has_grown(latency_s):
                self._fall(started_s, _AFTER_SLOWNESS)
            else:
                self._limit = min(float(self._most), self._limit + 1 / self._limit)
            self._admit()

    def refused(self, started_s: float, retry_after_s: float = 0.0) -> None:
        """Takes note of a refusal: the limit falls, and nobody goes before the server allows."""
        with self._lock:
            self._fall(started_s, _AFTER_REFUSAL)
            until_s = self._clock.now() + retry_after_s
            self._closed_until_s = max(self._closed_until_s, until_s)

    def pause_s(self) -> float:
        """Returns how long the server has asked everybody to stay away, in seconds from now."""
        with self._lock:
            return max(0.0, self._closed_until_s - self._clock.now())

    def _fall(self, started_s: float, factor: float) -> None:
        if started_s >= self._fell_s:
            self._limit = max(1.0, self._limit * factor)
            self._fell_s = self._clock.now()

    def _admit(self) -> None:
        while self._waiting and self._busy < int(self._limit):
            turn = self._waiting.popleft()
            if turn.set_running_or_notify_cancel():
                self._busy += 1
                turn.set_result(None)
