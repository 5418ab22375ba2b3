"""Which errors are worth another attempt, when it is made, and when it is too late for one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from dspy import lm15
from dspy.utils import exceptions as dspy_errors

from upturn.lm.spec import LONGEST_BACKOFF_S

#: Longest backoff before the second attempt, in seconds; it doubles up to the longest of all.
_FIRST_BACKOFF_S = 0.5
#: Doubling stops to matter long before it overflows.
_DOUBLINGS = 16

_RATE_LIMIT = (lm15.RateLimitError, dspy_errors.LMRateLimitError)
_TIMEOUT = (lm15.TimeoutError, dspy_errors.LMTimeoutError)
_TRANSIENT = (
    *_RATE_LIMIT,
    *_TIMEOUT,
    lm15.ServerError,
    lm15.TransportError,
    dspy_errors.LMServerError,
    dspy_errors.LMTransportError,
)


def is_transient(error: Exception) -> bool:
    """Whether the same call may succeed later: the server's load or the network, not the call."""
    return isinstance(error, _TRANSIENT)


def is_rate_limit(error: Exception) -> bool:
    """Whether the server is there, and asks for fewer calls."""
    return isinstance(error, _RATE_LIMIT)


def is_timeout(error: Exception) -> bool:
    """Whether the server was too slow, which fewer calls at once may mend."""
    return isinstance(error, _TIMEOUT)


def retry_after_s(error: Exception) -> float:
    """Returns how long the server asks to wait, in seconds; 0 where it does not say."""
    return float(getattr(error, "retry_after", None) or 0.0)


@dataclass(kw_only=True)
class Tries:
    """The attempts at one call.

    Backoff has full jitter (Brooker 2015, "Exponential backoff and jitter"): uniform between 0 and
    a bound that doubles. It is drawn from the call's key, so a run can be repeated.

    Attributes:
        key: the call's identity; asked for once there is something to draw.
        num_retries: attempts after the first, for errors other than a rate limit. A server that
            asks for fewer calls is obeyed as long as the deadline allows.
        deadline_s: seconds for all attempts and the backoff between them. What the call waits for
            its place, for a limit or for the end of an outage is not its own time.
        timeout_s: longest attempt: none starts that could end after the deadline.
    """

    key: Callable[[], str]
    num_retries: int
    deadline_s: float
    timeout_s: float
    _spent_s: float = field(default=0.0, init=False)
    _failures: int = field(default=0, init=False)
    _refusals: int = field(default=0, init=False)

    def backoff_s(self, error: Exception, took_s: float) -> float | None:
        """Returns the wait before the next attempt, or None where there is none left.

        Args:
            error: a transient error.
            took_s: seconds that the attempt took.
        """
        self._spent_s += took_s
        if is_rate_limit(error):
            self._refusals += 1
        else:
            self._failures += 1
        if not self.num_retries or self._failures > self.num_retries:
            return None
        attempt = self._failures + self._refusals
        bound_s = min(LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** min(attempt - 1, _DOUBLINGS))
        wait_s = random.Random(f"{self.key()}/{attempt}").uniform(0, bound_s)
        self._spent_s += wait_s
        return wait_s if self._spent_s + self.timeout_s <= self.deadline_s else None

    def renew(self) -> None:
        """Forgets the attempts that an outage took."""
        self._spent_s, self._failures, self._refusals = 0.0, 0, 0
