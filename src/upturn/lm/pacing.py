"""Limits per minute that a provider sets, kept by waiting before a call."""

from __future__ import annotations

import threading

from upturn.lm.clock import Clock


class Bucket:
    """A token bucket (Turner 1986) that lends: who takes too much waits until it is paid back.

    Lending keeps callers in their order without a queue, and lets one call take more than the
    bucket holds. In any span of time at most ``per_minute / 60`` a second is taken, and one
    second's worth (or one piece) on top.

    Args:
        per_minute: how much flows in.
        clock: the time.
    """

    def __init__(self, per_minute: float, clock: Clock) -> None:
        self._per_s = per_minute / 60
        self._room = max(1.0, self._per_s)
        self._clock = clock
        self._lock = threading.Lock()
        self._level, self._at_s = self._room, clock.now()

    def take(self, amount: float) -> float:
        """Takes an amount; returns the seconds to wait before it may be used."""
        with self._lock:
            now = self._clock.now()
            flowed = (now - self._at_s) * self._per_s
            self._level = min(self._room, self._level + flowed) - amount
            self._at_s = now
            return max(0.0, -self._level / self._per_s)

    def give_back(self, amount: float) -> None:
        """Corrects an estimate: a negative amount takes what was needed on top."""
        with self._lock:
            self._level += amount


class Pacer:
    """Keeps a provider's limits on requests and tokens.

    Args:
        requests_per_minute, tokens_per_minute: None for no limit.
        clock: the time.
    """

    def __init__(
        self,
        requests_per_minute: float | None,
        tokens_per_minute: float | None,
        clock: Clock,
    ) -> None:
        self._requests = Bucket(requests_per_minute, clock) if requests_per_minute else None
        self._tokens = Bucket(tokens_per_minute, clock) if tokens_per_minute else None

    def take(self, tokens: int) -> float:
        """Takes one request of so many tokens; returns the seconds to wait before it."""
        waits = [0.0]
        if self._requests is not None:
            waits.append(self._requests.take(1))
        if self._tokens is not None:
            waits.append(self._tokens.take(tokens))
        return max(waits)

    def correct(self, estimated: int, used: int) -> None:
        """Says how many tokens an answered request really needed."""
        if self._tokens is not None:
            self._tokens.give_back(estimated - used)
