"""How an optimizer is stopped: DSPy turns every exception into a score of zero, but not this one.

Its evaluator, its bootstrapping and Optuna catch ``Exception``. An outage or a reached cap must end
the run instead of teaching it something, so it travels as a ``BaseException``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from upturn.errors import BudgetExceededError, UpturnError


class Halt(BaseException):
    """Ends the optimizer. ``error`` says why."""

    def __init__(self, error: UpturnError) -> None:
        super().__init__(str(error))
        self.error = error


class Switch:
    """Passed by every call of the model: once off, no further call is made. Thread-safe.

    Args:
        may_go_on: asked before each call; what it returns ends the run, like a cap.
    """

    def __init__(self, may_go_on: Callable[[], str] = lambda: "") -> None:
        self._may_go_on = may_go_on
        self._changed = threading.Condition()
        self._in_flight = 0
        self.error: UpturnError | None = None

    def off(self, error: UpturnError) -> Halt:
        """Ends the run; the first error stays. Returns what to raise."""
        with self._changed:
            self.error = self.error or error
            return Halt(self.error)

    @contextmanager
    def call(self) -> Generator[None]:
        """Holds one call of the model.

        Raises:
            Halt: the run has ended, or ends now.
        """
        refusal = self._may_go_on()
        if refusal:
            raise self.off(BudgetExceededError(refusal))
        with self._changed:
            if self.error is not None:
                raise Halt(self.error)
            self._in_flight += 1
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def wait(self) -> None:
        """Waits until no call is in flight: DSPy leaves its threads behind when it is stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._in_flight == 0)
