"""Single flight: the same request, asked twice at once, is one call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager

from upturn.lm.cache import Answer


class Flights:
    """The requests now being answered: whoever asks the same waits for that answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Future[Answer | None]] = {}

    def join(self, key: str) -> tuple[Future[Answer | None], bool]:
        """Returns the flight of a key, and whether the caller leads it (and must land it)."""
        with self._lock:
            if key in self._open:
                return self._open[key], False
            flight: Future[Answer | None] = Future()
            # Running, so that an impatient follower cannot cancel what others wait for.
            flight.set_running_or_notify_cancel()
            self._open[key] = flight
            return flight, True

    @contextmanager
    def landing(self, key: str) -> Generator[Callable[[Answer], None]]:
        """Lands the leader's flight: with its answer, its error, or with None if it was cut off."""
        flight = self._open[key]
        answers: list[Answer] = []
        error: Exception | None = None
        try:
            yield answers.append
        except Exception as caught:
            # Any error at all: followers must see it rather than wait for ever.
            error = caught
            raise
        finally:
            with self._lock:
                del self._open[key]
            if error is not None:
                flight.set_exception(error)
            else:
                flight.set_result(answers[0] if answers else None)
