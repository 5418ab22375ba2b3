"""SteadyEngine: what stands between the turn and a server that is slow, full or away.

The way of a call: a place at the gate, the provider's limits, the breaker, one attempt; then an
answer, or a backoff and the same way again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

from dspy.lm15 import Config, Message, Request, Response

from upturn.errors import OutageError
from upturn.lm.aimd import Gate
from upturn.lm.breaker import Breaker
from upturn.lm.clock import Clock, WallClock
from upturn.lm.engine import FINGERPRINT, LATENCY, Engine
from upturn.lm.estimate import request_tokens
from upturn.lm.keys import request_key
from upturn.lm.pacing import Pacer
from upturn.lm.retries import Tries, is_rate_limit, is_timeout, is_transient, retry_after_s
from upturn.lm.spec import ModelSpec
from upturn.lm.steps import Ask, Sleep, Step, Turn, Way, adrive, drive

_PROBE_TOKENS = 16
#: A pause that is longer than what was told before by this many seconds is told.
_TOLD_PAUSE_S = 10.0


@dataclass(kw_only=True)
class _Call:
    """A call on its way: what it asks, its attempts, what was known when it began and failed."""

    request: Request
    tokens: int
    tries: Tries
    interrupts: int
    failed_at: int | None = None


class SteadyEngine:
    """Retries, limits, adaptive concurrency and a circuit breaker around one server.

    Args:
        inner: makes one attempt; must not retry.
        spec: limits, deadline and longest outage.
        explain: turns an error that no retry mends into the one that is raised.
        clock: the time.
        tell: told in one sentence what the turn is waiting for.
    """

    def __init__(
        self,
        inner: Engine,
        spec: ModelSpec,
        *,
        explain: Callable[[Exception], Exception] = lambda error: error,
        clock: Clock | None = None,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.inner = inner
        self.spec = spec
        self._explain = explain
        self._clock = clock or WallClock()
        self._tell = tell
        self._gate = Gate(spec.concurrency, self._clock)
        self._pacer = Pacer(spec.requests_per_minute, spec.tokens_per_minute, self._clock)
        self._max_outage_s = spec.max_outage_minutes * 60
        self._breaker = Breaker(
            self._max_outage_s, calls=spec.concurrency, clock=self._clock, tell=tell
        )
        self._lowest = spec.concurrency
        self._interrupts = 0

    @property
    def limit(self) -> int:
        """Calls that may be under way now."""
        return self._gate.limit

    def complete(self, request: Request) -> Response:
        """Returns the answer, after as many attempts and as much waiting as it takes.

        Raises:
            LMError, LM15Error: not transient, or no attempt is left.
            OutageError: the server was away for longer than the spec allows, or the wait for it
                was interrupted.
        """
        return drive(self._way(self._call(request)), self.inner, self._clock)

    async def acomplete(self, request: Request) -> Response:
        """As ``complete``, for an event loop."""
        return await adrive(self._way(self._call(request)), self.inner, self._clock)

    def interrupt(self) -> None:
        """Makes the calls that wait now, rather than call, give up; later calls are not touched."""
        self._interrupts += 1
        self._clock.wake()

    def close(self) -> None:
        """Interrupts who waits, and closes the inner engine."""
        self.interrupt()
        self.inner.close()

    async def aclose(self) -> None:
        """Closes what only the running event loop can close."""
        aclose = getattr(self.inner, "aclose", None)
        if aclose is not None:
            await aclose()

    def _call(self, request: Request) -> _Call:
        tries = Tries(
            key=lambda: request_key(self.spec.model, request),
            num_retries=self.spec.num_retries,
            deadline_s=self.spec.whole_call_s,
            timeout_s=self.spec.timeout_s,
        )
        tokens = sum(request_tokens(request))
        return _Call(request=request, tokens=tokens, tries=tries, interrupts=self._interrupts)

    def _way(self, call: _Call) -> Way:
        while True:
            turn = self._gate.enter()
            try:
                yield Turn(turn)
                yield from self._clearance(call)
                found = yield from self._attempt(call)
            finally:
                self._gate.leave(turn)
            if isinstance(found, Response):
                return found
            yield from self._rest(call, found)

    def _clearance(self, call: _Call) -> Generator[Step, Any, None]:
        """Waits for the provider's limits, for a pause it asked for, and for the breaker."""
        yield from self._rest(call, self._pacer.take(call.tokens))
        while True:
            wait_s = self._gate.pause_s() or self._breaker.admit()
            if wait_s == 0:
                return
            if wait_s is None:
                yield from self._probe()
            else:
                yield from self._rest(call, wait_s)

    def _rest(self, call: _Call, seconds: float) -> Generator[Step, Any, None]:
        def interrupted() -> bool:
            return call.interrupts != self._interrupts

        if seconds > 0:
            yield Sleep(seconds, interrupted)
        if interrupted():
            raise OutageError("the wait for the server was interrupted")

    def _probe(self) -> Generator[Step, Any, None]:
        """Asks for one tiny answer on behalf of all who wait; a call of theirs may be at fault."""
        config = Config(max_tokens=_PROBE_TOKENS, temperature=self.spec.temperature)
        message = Message.user("Say ok.")
        number = self._breaker.begin()
        failure: Exception | None = OutageError("the probe was cut off")
        try:
            yield Ask(Request(model=self.spec.model, messages=(message,), config=config))
            failure = None
        except Exception as error:
            # Who refuses the probe is there: each call will hear what is wrong with it.
            failure = error if is_transient(error) else None
        finally:
            self._breaker.probed(number, failure)

    def _attempt(self, call: _Call) -> Generator[Step, Any, Response | float]:
        """Returns the answer, or the seconds until the next attempt."""
        heard = self._breaker.heard
        number = self._breaker.begin()
        started_s = self._clock.now()
        try:
            response: Response = yield Ask(call.request)
        except Exception as error:
            if is_transient(error):
                return self._failed(error, call, started_s, heard)
            self._breaker.answered(number)
            explained = self._explain(error)
            if explained is error:
                raise
            raise explained from error
        latency_s = self._clock.now() - started_s
        self._gate.answered(started_s, latency_s)
        self._breaker.answered(number)
        used = (response.usage.input_tokens or 0) + (response.usage.output_tokens or 0)
        self._pacer.correct(call.tokens, used or call.tokens)
        # The waiting is not the model's latency.
        said = {k: v for k, v in (response.provider_data or {}).items() if k == FINGERPRINT}
        return replace(response, provider_data={**said, LATENCY: latency_s})

    def _failed(self, error: Exception, call: _Call, started_s: float, heard: int) -> float:
        took_s = self._clock.now() - started_s
        if call.failed_at is None:
            call.failed_at = self._breaker.begun
        if is_rate_limit(error):
            self._refused(error, started_s)
        else:
            self._breaker.failed(error)
        if is_timeout(error):
            self._gate.refused(started_s)
        wait_s = call.tries.backoff_s(error, took_s)
        if wait_s is not None:
            return wait_s
        if not self._breaker.trip(error, since=call.failed_at, heard=heard):
            raise error
        call.tries.renew()
        return 0.0

    def _refused(self, error: Exception, started_s: float) -> None:
        asked_s = retry_after_s(error)
        if asked_s > max(self._max_outage_s, self.spec.whole_call_s):
            raise OutageError(
                f"the server must take calls within {self.spec.max_outage_minutes:g} minutes, and "
                f"asks to wait for {asked_s / 60:.0f}: {error}",
                where="model.max_outage_minutes",
                fix="run the same command again then: what was paid for is kept",
            ) from error
        longer = asked_s > self._gate.pause_s() + _TOLD_PAUSE_S
        self._gate.refused(started_s, asked_s)
        if longer or self._gate.limit < self._lowest:
            self._lowest = min(self._lowest, self._gate.limit)
            pause = f", and nobody asks for {asked_s:.0f} s" if longer else ""
            self._tell(f"the server refuses calls: {self._gate.limit} at a time from now{pause}")
