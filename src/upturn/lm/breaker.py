"""An outage pauses the turn: nobody calls but one probe, and no row fails while it may end."""

from __future__ import annotations

import threading
from collections.abc import Callable

from upturn.errors import OutageError
from upturn.lm.clock import Clock

#: Failures in a row that are an outage, and how many for each call that may be under way: failures
#: come back sooner than answers, so three calls in ten may fail in long rows without an outage.
_RUN, _RUN_PER_CALL = 10, 2
#: Seconds until the first probe, and most between two.
_FIRST_PROBE_S, _LONGEST_PROBE_S = 1.0, 120.0
#: How often who waits looks whether a probe has ended.
_LOOK_S = 1.0


class Breaker:
    """A circuit breaker (Nygard 2007, "Release It!"). Thread-safe; nothing here waits.

    Args:
        max_outage_s: how long calls wait before they fail; 0 for no waiting at all.
        calls: most calls under way.
        clock: the time.
        tell: told in one sentence when an outage begins, goes on and ends.
    """

    def __init__(
        self, max_outage_s: float, *, calls: int, clock: Clock, tell: Callable[[str], None]
    ) -> None:
        self._max_outage_s = max_outage_s
        self._clock = clock
        self._tell = tell
        self._lock = threading.Lock()
        self._longest_run = max(_RUN, _RUN_PER_CALL * calls)
        self._run = self._calls = self._answered = 0
        self._open = self._probing = False
        self._since_s = self._probe_s = self._interval_s = 0.0
        self._last = ""

    def begin(self) -> int:
        """Returns the number of a call, or of a probe, that begins now."""
        with self._lock:
            self._calls += 1
            return self._calls

    @property
    def begun(self) -> int:
        """How many calls and probes have begun."""
        return self._calls

    @property
    def heard(self) -> int:
        """The highest number of a call or a probe that was answered so far."""
        return self._answered

    def admit(self) -> float | None:
        """Asked before each call.

        Returns:
            0 to go on, None where the caller must probe now (and then call ``probed``), else the
            seconds after which to ask again.

        Raises:
            OutageError: the outage has lasted too long. Probes go on, for a later call to make.
        """
        with self._lock:
            if not self._open:
                return 0.0
            now = self._clock.now()
            if self._probing:
                return _LOOK_S
            if now >= self._probe_s:
                self._probing = True
                return None
            left_s = self._since_s + self._max_outage_s - now
            if left_s <= 0:
                raise self._too_long()
            return min(self._probe_s - now, left_s)

    def answered(self, number: int) -> None:
        """The server has answered a call; whatever it said, it is there."""
        with self._lock:
            self._run = 0
            self._answered = max(self._answered, number)
            ended, self._open = self._open, False
            lasted_s = self._clock.now() - self._since_s
        if ended:
            self._tell(f"the server answers again after {_span(lasted_s)}: the turn goes on")

    def failed(self, error: Exception) -> None:
        """A call has met a transient failure that is no rate limit."""
        with self._lock:
            self._run += 1
            begins = self._run >= self._longest_run and self._begin(error)
        if begins:
            self._announce()

    def trip(self, error: Exception, *, since: int, heard: int) -> bool:
        """A call has no attempt left: is that an outage, rather than the call's own fault?

        Args:
            since: ``begun`` when the call failed first. The answer to a call that began later shows
                that the server was there. An earlier one's may have been under way when it went.
            heard: ``heard`` when its last attempt began. That one may hang from the outage into the
                time after it: an answer that came meanwhile says nothing of it.

        Returns:
            Whether the caller should wait and try anew.
        """
        with self._lock:
            if self._open:
                return True
            if heard > since or not self._begin(error):
                return False
        self._announce()
        return True

    def probed(self, number: int, error: Exception | None) -> None:
        """The probe that ``admit`` asked for has ended, with a transient error or with none."""
        if error is None:
            with self._lock:
                self._probing = False
            self.answered(number)
            return
        with self._lock:
            self._probing = False
            self._last = _short(error)
            self._interval_s = min(self._interval_s * 2, _LONGEST_PROBE_S)
            self._probe_s = self._clock.now() + self._interval_s
            lasted_s = self._clock.now() - self._since_s
            # A call that was under way may have been answered meanwhile.
            still = self._open
        if still:
            self._tell_still(lasted_s)

    def _tell_still(self, lasted_s: float) -> None:
        self._tell(
            f"still no answer after {_span(lasted_s)} ({self._last}); "
            f"the next try is in {_span(self._interval_s)}"
        )

    def _begin(self, error: Exception) -> bool:
        if self._open or not self._max_outage_s:
            return False
        now = self._clock.now()
        self._open, self._since_s = True, now
        self._interval_s, self._probe_s = _FIRST_PROBE_S, now + _FIRST_PROBE_S
        self._last = _short(error)
        return True

    def _announce(self) -> None:
        self._tell(
            f"the server does not answer ({self._last}): the turn waits for it, "
            f"{_span(self._max_outage_s)} at most"
        )

    def _too_long(self) -> OutageError:
        return OutageError(
            f"the server must be back within {_span(self._max_outage_s)}, and is not: {self._last}",
            where="model.max_outage_minutes",
            fix="run the same command again when it is back: what was paid for is kept",
        )


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _span(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes" if seconds >= 100 else f"{seconds:.0f} seconds"
