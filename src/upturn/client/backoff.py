"""When to try again: later and later, at random, and never before the server's own word."""

from __future__ import annotations

import random

#: A server that says "in a day" would strand everything: no word counts longer, in seconds.
LONGEST_WORD_S = 600.0


class Backoff:
    """The pause after failures.

    Args:
        first_s, longest_s: the pause after one failure, and at most; it doubles in between.
        rng: spreads the pauses of many clients that a server has lost at once.
    """

    def __init__(self, first_s: float, longest_s: float, rng: random.Random) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._rng = rng
        self._failures = 0
        self._until = float("-inf")

    def failed(self, now: float, retry_after_s: float | None = None) -> None:
        """Begins a pause: between half of the doubled pause and all of it, or as told if longer."""
        pause = min(self._longest_s, self._first_s * 2 ** min(self._failures, 30))
        pause *= self._rng.uniform(0.5, 1.0)
        self._failures += 1
        self._until = now + max(pause, min(retry_after_s or 0.0, LONGEST_WORD_S))

    def succeeded(self) -> None:
        """Ends all pauses."""
        self._failures = 0
        self._until = float("-inf")

    def left(self, now: float) -> float:
        """Returns how long the pause still lasts; 0 where there is none."""
        return max(0.0, self._until - now)
