"""What was called and paid, and the caps that hold whatever the number of threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NoReturn

from upturn.errors import BudgetExceededError


@dataclass(frozen=True, kw_only=True)
class Caps:
    """Upper limits of one turn; None is no limit.

    Attributes:
        max_calls: paid calls; never overshot.
        max_usd: money in US dollars; overshot at most by the calls then in flight, and only where
            one costs more than any before it.
        max_seconds: wall time since the meter was made; no call starts later.
    """

    max_calls: int | None = None
    max_usd: float | None = None
    max_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """One answered call.

    Attributes:
        latency_s: seconds from request to answer; for a cached answer, of the original call.
        input_tokens, output_tokens: as the model reported them; 0 where it did not.
        cost_usd: what the call cost; for a cached answer, what the original cost.
        cached: nothing was paid now.
        model, fingerprint: what the server says that it is, where it was asked now and said so.
    """

    latency_s: float
    input_tokens: int
    output_tokens: int
    cost_usd: float
    cached: bool
    model: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """A meter's reading: calls, tokens and money are what was paid; cached calls are apart."""

    calls: int = 0
    cached_calls: int = 0
    failed_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0


#: Paid calls before their prices are believed.
_KNOWN_CALLS = 8
#: A sum of equal prices may miss the cap by its last digits.
_ROUNDING = 1e-9

_recorders: ContextVar[tuple[list[CallRecord], ...]] = ContextVar("upturn_recorders", default=())


class Meter:
    """Counts calls and refuses those beyond the caps. Thread-safe.

    Args:
        caps: the limits; they count what was spent before, too.
        clock: seconds, monotonic.
        calls_before, usd_before, seconds_before: spent by earlier attempts at the same turn
            (``AnswerCache.spent``); part of the caps, not of ``totals``.
    """

    def __init__(
        self,
        caps: Caps | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        calls_before: int = 0,
        usd_before: float = 0.0,
        seconds_before: float = 0.0,
    ) -> None:
        self.caps = caps or Caps()
        self._clock = clock
        self._before = (calls_before, usd_before, seconds_before)
        self._start = clock()
        self._lock = threading.Lock()
        self._in_flight = 0
        self._bounds_usd = 0.0
        self._priced, self._share = 0, 0.0
        self._calls = self._cached = self._failed = self._input = self._output = 0
        self._usd = 0.0

    def reserve(self, bound_usd: float = 0.0) -> bool:
        """Takes the right to one call; ``settle`` or ``cancel`` must follow if it is given.

        The calls in flight are expected to cost their bounds times the dearest share of a bound
        that was paid so far; until there is one, the whole bound. So money is not overshot, unless
        a call costs more than any before it, or is the first.

        Args:
            bound_usd: the most that the call should cost; 0 where nobody knows.

        Returns:
            False where the money that is left may be needed by the calls in flight: ask again
            when one of them may have ended.

        Raises:
            BudgetExceededError: a cap is reached.
        """
        with self._lock:
            calls, usd, seconds = self._spent()
            _check("calls", calls + self._in_flight, self.caps.max_calls)
            _check("usd", usd, self.caps.max_usd)
            _check("seconds", seconds, self.caps.max_seconds)
            if not self._affordable(usd, bound_usd):
                return False
            self._in_flight += 1
            self._bounds_usd += bound_usd
            return True

    def _affordable(self, usd: float, bound_usd: float) -> bool:
        if self.caps.max_usd is None or bound_usd <= 0:
            return True
        known = self._priced >= _KNOWN_CALLS
        expected = usd + (self._bounds_usd + bound_usd) * (self._share if known else 1.0)
        if expected <= self.caps.max_usd * (1 + _ROUNDING):
            return True
        if self._in_flight:
            return False
        # Alone and still too dear. A bound may be many times the price: the first calls try.
        if known:
            _refuse("usd", usd, self.caps.max_usd, f", and a call may cost {expected - usd:.2g}")
        return True

    def settle(self, record: CallRecord, bound_usd: float = 0.0) -> None:
        """Counts a paid call that was reserved."""
        with self._lock:
            self._release(bound_usd)
            self._calls += 1
            self._usd += record.cost_usd
            self._input += record.input_tokens
            self._output += record.output_tokens
            if bound_usd > 0:
                self._priced += 1
                self._share = max(self._share, record.cost_usd / bound_usd)
        note(record)

    def cancel(self, bound_usd: float = 0.0) -> None:
        """Gives back a reservation whose call failed."""
        with self._lock:
            self._release(bound_usd)
            self._failed += 1

    def replay(self, record: CallRecord) -> None:
        """Counts a call that the cache answered."""
        with self._lock:
            self._cached += 1
        note(record)

    @staticmethod
    def record() -> AbstractContextManager[list[CallRecord]]:
        """Yields a list that fills with the calls made in this context (thread or task)."""
        return recording()

    def totals(self) -> Totals:
        """Returns the reading now; what was spent before is not in it."""
        with self._lock:
            return Totals(
                calls=self._calls,
                cached_calls=self._cached,
                failed_calls=self._failed,
                input_tokens=self._input,
                output_tokens=self._output,
                usd=self._usd,
                seconds=self._clock() - self._start,
            )

    def _release(self, bound_usd: float) -> None:
        self._in_flight -= 1
        # Sums of floats drift; with nothing in flight the sum is exact again.
        self._bounds_usd = self._bounds_usd - bound_usd if self._in_flight else 0.0

    def _spent(self) -> tuple[int, float, float]:
        calls, usd, seconds = self._before
        return calls + self._calls, usd + self._usd, seconds + self._clock() - self._start


def _check(unit: str, spent: float, cap: float | None) -> None:
    if cap is not None and spent >= cap:
        _refuse(unit, spent, cap)


def _refuse(unit: str, spent: float, cap: float, why: str = "") -> NoReturn:
    raise BudgetExceededError(
        f"{unit} must stay below the cap of {cap:g}, got {spent:g}{why}",
        where=f"caps.max_{unit}",
        fix=f"raise caps.max_{unit} and run again: what was paid for is kept",
    )


@contextmanager
def recording() -> Generator[list[CallRecord]]:
    """Yields a list that fills with the calls noted in this context (thread or task)."""
    calls: list[CallRecord] = []
    token = _recorders.set((*_recorders.get(), calls))
    try:
        yield calls
    finally:
        _recorders.reset(token)


def note(record: CallRecord) -> None:
    """Adds a call to the recordings of this context; for meters behind another process."""
    for calls in _recorders.get():
        calls.append(record)
