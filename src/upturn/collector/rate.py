"""Rate limit: one bucket of events for each token."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from upturn.collector.limits import Limits
from upturn.collector.replies import RefusedError


class RateLimit:
    """Counts events by token. Used by one thread.

    Args:
        limits: the rate and the burst.
        clock: seconds that never go back.
    """

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = limits.rate_per_s
        self._burst = float(limits.burst)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # token -> (events left, when)

    def take(self, token: str, events: int) -> None:
        """Takes events from a token's bucket.

        More than the bucket can hold is taken when it is full, and leaves a debt.

        Raises:
            RefusedError: 429 where the bucket holds too few; nothing is taken then.
        """
        now = self._clock()
        left, since = self._buckets.get(token, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        needed = min(float(events), self._burst)
        if left < needed:
            raise RefusedError(
                429,
                f"a token may send {self._rate:g} events per second",
                retry_after_s=max(1, math.ceil((needed - left) / self._rate)),
            )
        self._buckets[token] = (left - events, now)
