"""The engine that DSPy talks to: single flight, cache, caps and meter around any inner engine."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Protocol, cast

from dspy.lm15 import Message, Request, Response, TextPart, UnsupportedFeatureError, Usage

from upturn.lm.cache import Answer, AnswerCache
from upturn.lm.keys import request_key
from upturn.lm.meter import CallRecord, Meter


class Engine(Protocol):
    """One attempt, one answer: the seam to every language model.

    Both methods raise ``dspy.lm15`` errors or DSPy's own; ``acomplete`` must not block the loop.
    """

    def complete(self, request: Request) -> Response: ...

    async def acomplete(self, request: Request) -> Response: ...

    def close(self) -> None: ...


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


class AnswerEngine:
    """Answers from the cache, or pays the inner engine once per distinct request.

    Order of what happens to a call: single flight, cache, caps, inner engine, cache, meter. An
    error is never cached. Answers are text; native tool calls are refused.

    Args:
        inner: the model.
        model_id: goes into every key; must name the weights.
        cost_usd: (input tokens, output tokens) -> US dollars.
        clock: seconds, monotonic; measures latency.
    """

    def __init__(
        self,
        inner: Engine,
        *,
        model_id: str,
        cache: AnswerCache,
        meter: Meter,
        cost_usd: Callable[[int, int], float] = lambda _in, _out: 0.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.inner = inner
        self.model_id = model_id
        self._cache = cache
        self._meter = meter
        self._cost_usd = cost_usd
        self._clock = clock
        self._flights = Flights()

    def complete(self, request: Request) -> Response:
        """Returns the answer; DSPy calls this from any thread.

        Raises:
            BudgetExceededError: a cap is reached (DSPy wraps it; see ``failures.classify``).
            StorageError: the cache cannot be read or written.
        """
        key = request_key(self.model_id, request)
        while True:
            flight, leads = self._flights.join(key)
            if not leads:
                if (answer := flight.result()) is not None:
                    return self._replayed(request, answer)
                continue
            with self._flights.landing(key) as land:
                answer = self._cache.get(key)
                if answer is not None:
                    land(answer)
                    return self._replayed(request, answer)
                with self._reserved():
                    start = self._clock()
                    response = self.inner.complete(request)
                    land(answer := self._paid(key, response, self._clock() - start))
                return _response(request, answer)

    async def acomplete(self, request: Request) -> Response:
        """As ``complete``, for an event loop."""
        key = request_key(self.model_id, request)
        while True:
            flight, leads = self._flights.join(key)
            if not leads:
                if (answer := await asyncio.wrap_future(flight)) is not None:
                    return self._replayed(request, answer)
                continue
            with self._flights.landing(key) as land:
                answer = self._cache.get(key)
                if answer is not None:
                    land(answer)
                    return self._replayed(request, answer)
                with self._reserved():
                    start = self._clock()
                    response = await self.inner.acomplete(request)
                    land(answer := self._paid(key, response, self._clock() - start))
                return _response(request, answer)

    @contextmanager
    def _reserved(self) -> Generator[None]:
        self._meter.reserve()
        try:
            yield
        except BaseException:
            self._meter.cancel()
            raise

    def _paid(self, key: str, response: Response, latency_s: float) -> Answer:
        usage = response.usage
        n_in, n_out = usage.input_tokens or 0, usage.output_tokens or 0
        answer = Answer(
            text=_text(response),
            finish_reason=response.finish_reason,
            input_tokens=n_in,
            output_tokens=n_out,
            latency_s=latency_s,
            cost_usd=self._cost_usd(n_in, n_out),
        )
        self._cache.put(key, answer)
        self._meter.settle(_record(answer, cached=False))
        return answer

    def _replayed(self, request: Request, answer: Answer) -> Response:
        self._meter.replay(_record(answer, cached=True))
        return _response(request, answer)


class AsyncAnswerEngine:
    """The same engine as DSPy's async calls want it: ``complete`` is a coroutine."""

    def __init__(self, engine: AnswerEngine) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        return await self._engine.acomplete(request)


def text_response(
    request: Request, text: str, *, finish_reason: str, input_tokens: int, output_tokens: int
) -> Response:
    """Returns a response that holds one text."""
    return Response(
        id=None,
        model=request.model,
        message=Message.assistant([TextPart(text)]),
        finish_reason=cast(Any, finish_reason),
        usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens),
    )


def _response(request: Request, answer: Answer) -> Response:
    return text_response(
        request,
        answer.text,
        finish_reason=answer.finish_reason,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
    )


def _text(response: Response) -> str:
    if any(part.type == "tool_call" for part in response.message.parts):
        raise UnsupportedFeatureError(
            "answers must be text; turn native function calling off in the DSPy adapter",
            feature="tools",
        )
    return "".join(part.text for part in response.message.parts if part.type == "text")


def _record(answer: Answer, *, cached: bool) -> CallRecord:
    return CallRecord(
        latency_s=answer.latency_s,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cost_usd=answer.cost_usd,
        cached=cached,
    )
