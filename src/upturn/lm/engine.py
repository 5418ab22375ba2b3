"""The engine that DSPy talks to: single flight, cache, caps and meter around any inner engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol, cast

from dspy.lm15 import Message, Request, Response, TextPart, UnsupportedFeatureError, Usage

from upturn.lm.cache import Answer
from upturn.lm.estimate import request_tokens
from upturn.lm.flights import Flights
from upturn.lm.keys import request_key
from upturn.lm.meter import CallRecord

#: Where an inner engine may say in ``provider_data`` how long the model itself took, in seconds.
LATENCY = "upturn_latency_s"
#: Where a server may say there what it runs.
FINGERPRINT = "system_fingerprint"
#: Waits until the meter is asked again, in seconds.
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.005, 0.5


class Engine(Protocol):
    """One attempt, one answer: the seam to every language model.

    Both methods raise ``dspy.lm15`` errors or DSPy's own; ``acomplete`` must not block the loop.
    """

    def complete(self, request: Request) -> Response: ...

    async def acomplete(self, request: Request) -> Response: ...

    def close(self) -> None: ...


class Answers(Protocol):
    """Where answers are kept: ``AnswerCache``, or one that stands behind another process.

    Called once or twice a call, from many threads; each call must be cheap.
    """

    def get(self, key: str) -> Answer | None:
        """Returns the answer under a key, or None."""
        ...

    def put(self, key: str, answer: Answer) -> None:
        """Keeps an answer durably before it returns; the first answer under a key stays."""
        ...


class Metering(Protocol):
    """Who counts calls and enforces caps: ``Meter``, or one that stands behind another process.

    ``bound_usd`` is the same number in the three calls that belong to one call. None of them may
    wait: a caller that is told to wait asks again.
    """

    def reserve(self, bound_usd: float = 0.0) -> bool:
        """Takes the right to one call; ``settle`` or ``cancel`` must follow if it is given.

        Args:
            bound_usd: the most that the call should cost.

        Returns:
            False where the money that is left may be needed by the calls in flight: ask again
            when one of them may have ended.

        Raises:
            BudgetExceededError: a cap is reached.
        """
        ...

    def settle(self, record: CallRecord, bound_usd: float = 0.0) -> None:
        """Counts a paid call that was reserved, and notes it in the caller's recordings."""
        ...

    def cancel(self, bound_usd: float = 0.0) -> None:
        """Gives back a reservation whose call failed."""
        ...

    def replay(self, record: CallRecord) -> None:
        """Counts a call that the cache answered, and notes it in the caller's recordings."""
        ...


class AnswerEngine:
    """Answers from the cache, or pays the inner engine once per distinct request.

    Order of what happens to a call: single flight, cache, caps, inner engine, cache, meter. An
    error is never cached. Answers are text; native tool calls are refused.

    Args:
        inner: the model.
        model_id: goes into every key; must name the weights.
        cost_usd: (input tokens, output tokens) -> US dollars.
        clock: seconds, monotonic; measures latency.
        sleep: waits some seconds until the meter is asked again.
    """

    def __init__(
        self,
        inner: Engine,
        *,
        model_id: str,
        cache: Answers,
        meter: Metering,
        cost_usd: Callable[[int, int], float] = lambda _in, _out: 0.0,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.inner = inner
        self.model_id = model_id
        self._cache = cache
        self._meter = meter
        self._cost_usd = cost_usd
        self._clock = clock
        self._sleep = sleep
        self._flights = Flights()

    def beside(self, inner: Engine, model_id: str) -> AnswerEngine:
        """Returns the same around another model: same cache, meter, prices and clock."""
        return AnswerEngine(
            inner,
            model_id=model_id,
            cache=self._cache,
            meter=self._meter,
            cost_usd=self._cost_usd,
            clock=self._clock,
            sleep=self._sleep,
        )

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
                bound_usd = self._bound_usd(request)
                for wait_s in self._waits_for_money(bound_usd):
                    self._sleep(wait_s)
                with self._reserved(bound_usd):
                    start = self._clock()
                    response = self.inner.complete(request)
                    answer = self._paid(key, response, self._clock() - start, bound_usd)
                    land(answer)
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
                bound_usd = self._bound_usd(request)
                for wait_s in self._waits_for_money(bound_usd):
                    await asyncio.sleep(wait_s)
                with self._reserved(bound_usd):
                    start = self._clock()
                    response = await self.inner.acomplete(request)
                    answer = self._paid(key, response, self._clock() - start, bound_usd)
                    land(answer)
                return _response(request, answer)

    def _bound_usd(self, request: Request) -> float:
        return self._cost_usd(*request_tokens(request))

    def _waits_for_money(self, bound_usd: float) -> Generator[float]:
        """Yields how long to wait, twice as long each time, until the meter lets the call go."""
        wait_s = _FIRST_WAIT_S
        while not self._meter.reserve(bound_usd):
            yield wait_s
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    @contextmanager
    def _reserved(self, bound_usd: float) -> Generator[None]:
        try:
            yield
        except BaseException:
            self._meter.cancel(bound_usd)
            raise

    def _paid(self, key: str, response: Response, latency_s: float, bound_usd: float) -> Answer:
        usage = response.usage
        n_in, n_out = usage.input_tokens or 0, usage.output_tokens or 0
        answer = Answer(
            text=_text(response),
            finish_reason=response.finish_reason,
            input_tokens=n_in,
            output_tokens=n_out,
            latency_s=cast(float, (response.provider_data or {}).get(LATENCY, latency_s)),
            cost_usd=self._cost_usd(n_in, n_out),
        )
        self._cache.put(key, answer)
        said = (response.provider_data or {}).get(FINGERPRINT)
        record = replace(
            _record(answer, cached=False),
            model=response.model,
            fingerprint=said if isinstance(said, str) else "",
        )
        self._meter.settle(record, bound_usd)
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
