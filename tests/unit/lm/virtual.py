"""Time that passes only when everybody waits: an outage of an hour in a few milliseconds."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from dspy.lm15 import Config, Message, Request, Response

from upturn.lm.engine import text_response


class JumpClock:
    """For threads: whoever sleeps moves the time to where the sleep ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        with self._lock:
            return self._now

    def sleep(self, seconds: float, unless: Callable[[], bool] = lambda: False) -> None:
        if unless():
            return
        with self._lock:
            self.slept.append(seconds)
            self._now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def wake(self) -> None:
        """Nobody really sleeps."""


class LoopClock:
    """For tasks: the time of a ``VirtualLoop``."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def sleep(self, seconds: float, unless: Callable[[], bool] = lambda: False) -> None:
        raise AssertionError("a task must not block the loop")

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def wake(self) -> None:
        """Tasks are cancelled, not woken."""


class _Jumps(selectors.SelectSelector):
    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits, and nobody for the time"
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to the next thing that is due."""

    def __init__(self) -> None:
        self._jumps = _Jumps()
        super().__init__(self._jumps)

    def time(self) -> float:
        return self._jumps.now_s


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Runs a coroutine in virtual time that starts at 0."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def request(text: str = "hi", **config: Any) -> Request:
    return Request(model="m", messages=(Message.user(text),), config=Config(**config))


class Server:
    """An engine in virtual time.

    Args:
        trouble: (number of the attempt, seconds, calls now under way) -> the error, or None.
        latency_s: seconds, calls now under way -> seconds that a call takes.

    Attributes:
        at_s: when each attempt started; probes: when each probe did.
    """

    def __init__(
        self,
        trouble: Callable[[int, float, int], Exception | None] = lambda n, now_s, busy: None,
        *,
        latency_s: Callable[[float, int], float] = lambda now_s, busy: 1.0,
    ) -> None:
        self._trouble, self._latency_s = trouble, latency_s
        self.at_s: list[float] = []
        self.probes: list[float] = []
        self.clock: JumpClock | LoopClock = LoopClock()
        self.busy = 0
        self.closed = False

    def complete(self, request: Request) -> Response:
        error, seconds = self._begin(request)
        self.clock.sleep(seconds)
        return self._end(request, error)

    async def acomplete(self, request: Request) -> Response:
        error, seconds = self._begin(request)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.busy -= 1
            raise
        return self._end(request, error)

    def close(self) -> None:
        self.closed = True

    def _begin(self, request: Request) -> tuple[Exception | None, float]:
        now_s = self.clock.now()
        probe = request.messages[0].text == "Say ok."
        (self.probes if probe else self.at_s).append(now_s)
        self.busy += 1
        error = self._trouble(len(self.at_s) + len(self.probes), now_s, self.busy)
        return error, 0.05 if error else self._latency_s(now_s, self.busy)

    def _end(self, request: Request, error: Exception | None) -> Response:
        self.busy -= 1
        if error is not None:
            raise error
        return text_response(request, "ok", finish_reason="stop", input_tokens=10, output_tokens=1)
