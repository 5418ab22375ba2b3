"""A server that refuses, slows down, fails or goes away: the turn waits, and no row is lost."""

from __future__ import annotations

import asyncio
import builtins
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from dspy.lm15 import (
    AuthError,
    InvalidRequestError,
    RateLimitError,
    Response,
    ServerError,
    TimeoutError,
    TransportError,
)

from tests.unit.lm.virtual import JumpClock, LoopClock, Server, request, run
from upturn.errors import ModelError, OutageError
from upturn.lm import ModelSpec
from upturn.lm.engine import LATENCY
from upturn.lm.steady import SteadyEngine

#: Only what hangs takes so long; a machine that is slow does not.
PATIENCE_S = 120.0


def spec(**settings: Any) -> ModelSpec:
    return ModelSpec(model="openai/m", **{"concurrency": 16, **settings})


def answered(
    server: Server, calls: int, told: list[str] | None = None, **settings: Any
) -> tuple[list[Response | BaseException], SteadyEngine, float]:
    """Asks for all at once; returns what came back, the engine and the virtual seconds."""

    async def main() -> tuple[list[Response | BaseException], SteadyEngine, float]:
        tell = told.append if told is not None else lambda sentence: None
        engine = SteadyEngine(server, spec(**settings), clock=LoopClock(), tell=tell)
        asked = (engine.acomplete(request(f"row {i}")) for i in range(calls))
        found = await asyncio.gather(*asked, return_exceptions=True)
        return found, engine, asyncio.get_running_loop().time()

    return run(main)


def kinds(found: list[Response | BaseException]) -> set[type]:
    return {type(f) for f in found}


def away(begin_s: float, end_s: float, error: Exception) -> Callable[..., Exception | None]:
    return lambda n, now_s, busy: error if begin_s <= now_s < end_s else None


def test_a_good_server_gets_all_that_is_allowed_at_once():
    server = Server()
    found, engine, seconds = answered(server, 160)
    assert kinds(found) == {Response}
    assert (engine.limit, seconds, len(server.at_s)) == (16, 10.0, 160)


def test_the_models_latency_holds_no_waiting():
    found, _, _ = answered(Server(latency_s=lambda now_s, busy: 2.0), 3, concurrency=1)
    latencies = [f.provider_data[LATENCY] for f in found]  # type: ignore[union-attr, index]
    assert latencies == pytest.approx([2.0, 2.0, 2.0])


def test_no_row_is_lost_in_an_outage_of_twenty_minutes():
    told: list[str] = []
    server = Server(away(5.5, 1205.5, TransportError("connection refused")))
    found, _, seconds = answered(server, 400, told)
    assert kinds(found) == {Response}
    # Those that were under way find out; after that only one probe at a time asks.
    in_outage = [s for s in server.at_s if 5.5 <= s < 1205.5]
    assert 10 <= len(in_outage) <= 40
    assert len(server.probes) == 16
    gaps = [b - a for a, b in zip(server.probes, server.probes[1:], strict=False)]
    assert all(1.9 < gap <= 120.1 for gap in gaps)
    assert 1205.5 < seconds < 1205.5 + 120 + 400 / 16 + 10
    assert "the turn waits for it, 30.0 minutes at most" in told[0]
    assert "TransportError: connection refused" in told[0]
    assert "the server answers again after" in told[-1]
    assert len(told) == 2 + 15


def test_an_outage_longer_than_allowed_fails_every_call_and_says_what_to_do():
    server = Server(away(3.0, 1e9, ServerError("502")))
    found, _, seconds = answered(server, 100, max_outage_minutes=5.0)
    lost = [f for f in found if not isinstance(f, Response)]
    assert {type(f) for f in lost} == {OutageError}
    assert len(lost) == 100 - 48
    assert 300.0 < seconds < 310.0
    assert "must be back within 5.0 minutes, and is not: ServerError: 502" in str(lost[0])
    assert "run the same command again" in lost[0].fix  # type: ignore[union-attr]


def test_after_an_outage_that_was_too_long_later_calls_find_the_server_back():
    async def main() -> list[Any]:
        server = Server(away(0.0, 3600.0, ServerError("502")))
        engine = SteadyEngine(server, spec(max_outage_minutes=5.0), clock=LoopClock())
        found: list[Any] = []
        for at_s in (0.0, 1800.0, 3900.0):
            await asyncio.sleep(at_s - asyncio.get_running_loop().time())
            asked = (engine.acomplete(request(f"row {at_s} {i}")) for i in range(4))
            found.append(kinds(await asyncio.gather(*asked, return_exceptions=True)))
        return found

    assert run(main) == [{OutageError}, {OutageError}, {Response}]


def test_without_patience_calls_fail_as_they_are():
    found, _, _ = answered(
        Server(away(0.0, 1e9, ServerError("502"))), 5, max_outage_minutes=0.0, num_retries=0
    )
    assert kinds(found) == {ServerError}


@pytest.mark.parametrize("concurrency", [1, 2])
def test_few_callers_lose_no_row_either(concurrency: int):
    server = Server(away(2.5, 300.0, ServerError("503")))
    found, _, _ = answered(server, 10, concurrency=concurrency, num_retries=1)
    assert kinds(found) == {Response}


def test_a_server_with_four_places_gets_about_four_calls():
    def full(n: int, now_s: float, busy: int) -> Exception | None:
        return RateLimitError("slow down") if busy > 4 else None

    told: list[str] = []
    server = Server(full)
    found, engine, seconds = answered(server, 400, told, concurrency=64)
    assert kinds(found) == {Response}
    assert 1 <= engine.limit <= 8
    assert seconds < 2.5 * 400 / 4
    refused = len(server.at_s) - 400
    assert refused < 250
    assert told[0].startswith("the server refuses calls: 32 at a time")
    assert len(told) <= 7


def test_retry_after_keeps_everybody_away_until_then():
    def once(n: int, now_s: float, busy: int) -> Exception | None:
        return RateLimitError("later", retry_after=90.0) if n == 40 else None

    told: list[str] = []
    server = Server(once)
    found, engine, _ = answered(server, 200, told)
    assert kinds(found) == {Response}
    asked_s = server.at_s[39]
    after = [s for s in server.at_s if s > asked_s + 0.05]
    assert min(after) >= asked_s + 90.0
    assert told == ["the server refuses calls: 8 at a time from now, and nobody asks for 90 s"]
    assert engine.limit > 8


def test_a_server_that_asks_for_a_day_ends_the_turn_at_once():
    server = Server(lambda n, now_s, busy: RateLimitError("quota", retry_after=86400.0))
    found, _, seconds = answered(server, 4)
    assert kinds(found) == {OutageError}
    assert "within 30 minutes, and asks to wait for 1440" in str(found[0])
    assert seconds < 1.0


def test_three_failures_in_ten_are_no_outage():
    rng = random.Random(7)

    def flaky(n: int, now_s: float, busy: int) -> Exception | None:
        return (
            rng.choice([ServerError("500"), TransportError("reset")])
            if rng.random() < 0.3
            else None
        )

    told: list[str] = []
    server = Server(flaky)
    found, engine, _ = answered(server, 1000, told, concurrency=32, num_retries=5)
    assert (told, server.probes, engine.limit) == ([], [], 32)
    # A row is lost where six attempts fail in a row: 0.3 ** 6 is 0.7 in 1,000.
    assert sum(not isinstance(f, Response) for f in found) <= 3


def test_a_call_that_alone_fails_is_its_own_fault():
    class Poisoned(Server):
        async def acomplete(self, request: Any) -> Response:
            response = await super().acomplete(request)
            if request.messages[0].text == "row 3":
                raise ServerError("500 on this row")
            return response

    for concurrency in (1, 16):
        server = Poisoned()
        found, _, _ = answered(server, 20, concurrency=concurrency)
        assert [i for i, f in enumerate(found) if not isinstance(f, Response)] == [3]
        assert str(found[3]).endswith("500 on this row")
        assert len(server.probes) <= 1


def test_an_attempt_that_hangs_from_an_outage_into_the_time_after_it_is_no_lost_row():
    class Cut(Server):
        async def acomplete(self, request: Any) -> Response:
            hangs = request.messages[0].text == "row 12" and len(self.at_s) == 14
            try:
                return await super().acomplete(request)
            except ServerError:
                await asyncio.sleep(200.0 if hangs else 0.0)
                raise

    server = Cut(away(5.5, 60.0, ServerError("502")))
    found, _, seconds = answered(server, 14, concurrency=2, num_retries=1)
    assert kinds(found) == {Response}
    assert 200.0 < seconds < 210.0


def test_hangs_take_places_away_until_the_server_can_cope():
    def slow(now_s: float, busy: int) -> float:
        return 30.0 if busy > 8 else 1.0

    class Hanging(Server):
        async def acomplete(self, request: Any) -> Response:
            try:
                async with asyncio.timeout(10.0):
                    return await super().acomplete(request)
            except builtins.TimeoutError:
                raise TimeoutError("no answer in 10 s") from None

    found, engine, _ = answered(
        Hanging(latency_s=slow), 200, concurrency=32, timeout_s=10.0, num_retries=8
    )
    assert kinds(found) == {Response}
    assert engine.limit <= 16


def test_much_longer_latency_takes_places_away_and_comes_back():
    server = Server(latency_s=lambda now_s, busy: 1.0 if now_s < 20 else 4.0)
    _, engine, _ = answered(server, 480)
    assert engine.limit < 16
    # What is slow for long is normal: twenty medians later the limit grows again.
    _, engine, _ = answered(Server(latency_s=lambda now_s, busy: 1.0 if now_s < 20 else 4.0), 1600)
    assert engine.limit == 16


def test_a_revoked_key_fails_at_once_and_a_bad_request_is_the_calls_own():
    def explain(error: Exception) -> Exception:
        return ModelError("the key must be accepted") if isinstance(error, AuthError) else error

    async def main(error: Exception) -> tuple[list[Any], Server, float]:
        server = Server(lambda n, now_s, busy: error if n > 4 else None)
        engine = SteadyEngine(server, spec(concurrency=2), explain=explain, clock=LoopClock())
        asked = (engine.acomplete(request(f"row {i}")) for i in range(6))
        found = await asyncio.gather(*asked, return_exceptions=True)
        return found, server, asyncio.get_running_loop().time()

    for error, kind in ((AuthError("revoked"), ModelError), (InvalidRequestError("bad"),) * 2):
        found, server, seconds = run(lambda error=error: main(error))
        assert [type(f) for f in found[4:]] == [
            kind if isinstance(kind, type) else InvalidRequestError
        ] * 2
        assert (len(server.at_s), seconds) == (6, pytest.approx(2.05))


def test_no_attempt_starts_that_could_end_after_the_deadline():
    clock = JumpClock()
    server = Server(lambda n, now_s, busy: ServerError("500") if n != 1 else None)
    server.clock = clock
    engine = SteadyEngine(
        server,
        spec(num_retries=50, timeout_s=10.0, deadline_s=30.0, max_outage_minutes=0.0),
        clock=clock,
    )
    engine.complete(request("first"))
    with pytest.raises(ServerError):
        engine.complete(request("second"))
    own_s = server.at_s[-1] - server.at_s[1]
    assert 0 < own_s <= 30.0 - 10.0
    assert len(server.at_s) > 4


def test_the_same_run_waits_the_same():
    def once() -> tuple[list[float], list[float]]:
        clock = JumpClock()
        server = Server(lambda n, now_s, busy: ServerError("500") if n % 4 else None)
        server.clock = clock
        engine = SteadyEngine(server, spec(), clock=clock)
        for i in range(5):
            engine.complete(request(f"row {i}"))
        return clock.slept, server.at_s

    first, second = once(), once()
    assert first == second
    backoffs = [s for s in first[0] if s not in (0.05, 1.0)]
    assert len(set(backoffs)) == 15
    assert all(0 <= s <= 2.0 for s in backoffs)


def test_a_thread_waits_out_an_outage_too():
    clock = JumpClock()
    server = Server(away(1.0, 700.0, TransportError("down")))
    server.clock = clock
    told: list[str] = []
    engine = SteadyEngine(server, spec(), clock=clock, tell=told.append)
    for i in range(3):
        assert engine.complete(request(f"row {i}")).message.text == "ok"
    assert 700.0 < clock.now() < 830.0
    assert told[-1].startswith("the server answers again after")


def test_a_cancelled_task_gives_its_place_back():
    async def main() -> tuple[int, int]:
        server = Server()
        engine = SteadyEngine(server, spec(concurrency=1), clock=LoopClock())
        tasks = [asyncio.create_task(engine.acomplete(request(f"row {i}"))) for i in range(4)]
        await asyncio.sleep(0.5)
        tasks[0].cancel()  # is being answered
        tasks[2].cancel()  # waits
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return sum(isinstance(f, Response) for f in found), len(server.at_s)

    assert run(main) == (2, 3)


def test_an_interrupt_ends_the_waits_and_nothing_else():
    """The wall clock and real threads: an unattended turn must end when it is told to."""
    down = [True]
    waits = threading.Event()
    server = Server(lambda n, now_s, busy: TransportError("down") if down[0] else None)
    server.clock = JumpClock()
    settings = spec(concurrency=2, num_retries=0, max_outage_minutes=1e6)
    engine = SteadyEngine(server, settings, tell=lambda sentence: waits.set())
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(engine.complete, request(f"row {i}")) for i in range(8)]
        assert waits.wait(PATIENCE_S)
        # One that has not begun yet is touched by a later interrupt alone.
        for call in calls:
            while not wait([call], timeout=0.005).done:
                engine.interrupt()
        errors = [call.exception() for call in calls]
    assert {type(e) for e in errors} == {OutageError}
    assert "was interrupted" in str(errors[0])
    down[0] = False
    engine = SteadyEngine(server, settings)
    engine.interrupt()  # nobody waits: the next call is not touched
    assert engine.complete(request("later")).message.text == "ok"


def test_closing_closes_the_inner_engine():
    server = Server()
    SteadyEngine(server, spec()).close()
    assert server.closed
