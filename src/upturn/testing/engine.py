"""FakeEngine: a scripted model for tests, fast and deterministic."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from dspy.lm15 import Request, Response

from upturn.lm.engine import text_response


class FakeEngine:
    """Answers by a function of the request; use with ``upturn.lm.connect.connect_engine``.

    Args:
        answer: request -> text.
        fail: request -> the error to raise instead, or None.
        latency_s: real seconds that each call takes.

    Attributes:
        calls: how many requests arrived, the failing ones included.
        peak: most requests that were being answered at once.
    """

    def __init__(
        self,
        answer: Callable[[Request], str],
        *,
        fail: Callable[[Request], Exception | None] = lambda _: None,
        latency_s: float = 0.0,
    ) -> None:
        self._answer = answer
        self._fail = fail
        self._latency_s = latency_s
        self._lock = threading.Lock()
        self._now = 0
        self.calls = 0
        self.peak = 0
        self.closed = False

    def complete(self, request: Request) -> Response:
        with self._lock:
            self.calls += 1
            self._now += 1
            self.peak = max(self.peak, self._now)
        try:
            if self._latency_s:
                time.sleep(self._latency_s)
            return self._respond(request)
        finally:
            with self._lock:
                self._now -= 1

    async def acomplete(self, request: Request) -> Response:
        return await asyncio.to_thread(self.complete, request)

    def close(self) -> None:
        self.closed = True

    def _respond(self, request: Request) -> Response:
        error = self._fail(request)
        if error is not None:
            raise error
        text = self._answer(request)
        prompt = [m.text or "" for m in request.messages]
        prompt.append(request.system if isinstance(request.system, str) else "")
        return text_response(
            request,
            text,
            finish_reason="stop",
            input_tokens=sum(len(t.split()) for t in prompt),
            output_tokens=len(text.split()),
        )
