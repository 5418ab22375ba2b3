"""Time as the remote side sees it: one seam, so that an outage of an hour is tested at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Seconds that only go up, and two ways to let some pass."""

    def now(self) -> float:
        """Returns seconds since some moment."""
        ...

    def sleep(self, seconds: float, unless: Callable[[], bool]) -> None:
        """Blocks this thread, unless something is so already; ``wake`` ends it early."""
        ...

    async def asleep(self, seconds: float) -> None:
        """Blocks this task only."""
        ...

    def wake(self) -> None:
        """Ends every ``sleep`` that has begun."""
        ...


class WallClock:
    """The real time."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, unless: Callable[[], bool]) -> None:
        # In this order: who wakes us in between has made it so before.
        woken = self._woken
        if not unless():
            woken.wait(seconds)

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def wake(self) -> None:
        woken, self._woken = self._woken, threading.Event()
        woken.set()
