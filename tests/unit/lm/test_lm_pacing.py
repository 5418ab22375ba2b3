"""Limits per minute hold over every minute, in threads and tasks, and estimates are corrected."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from tests.unit.lm.virtual import JumpClock, LoopClock, Server, request, run
from upturn.lm import ModelSpec
from upturn.lm.aimd import Gate, LatencyWatch
from upturn.lm.estimate import request_tokens
from upturn.lm.pacing import Bucket, Pacer
from upturn.lm.steady import SteadyEngine


def most_in_a_minute(starts: list[tuple[float, float]]) -> float:
    """The most that was taken in any 60 seconds: (when, how much), in order."""
    return max(
        sum(amount for at_s, amount in starts if first <= at_s < first + 60.0)
        for first, _ in starts
    )


@pytest.mark.parametrize("seed", range(5))
def test_no_minute_holds_more_than_the_limit_and_one_second(seed: int) -> None:
    rng = random.Random(seed)
    clock = JumpClock()
    bucket = Bucket(600.0, clock)
    starts: list[tuple[float, float]] = []
    for _ in range(400):
        clock.sleep(rng.expovariate(4.0))
        amount = rng.choice([1.0, 1.0, 2.0, 9.0])
        starts.append((clock.now() + bucket.take(amount), amount))
    # What was borrowed is used when it is paid back, whole: one piece may be on top as well.
    assert most_in_a_minute(sorted(starts)) <= 600.0 + 10.0 + 9.0
    assert [s for s, _ in starts] == sorted(s for s, _ in starts), "first come, first served"


def test_a_correction_shortens_the_next_wait() -> None:
    clock = JumpClock()
    pacer = Pacer(None, 6000.0, clock)
    assert pacer.take(1100) == pytest.approx(10.0)
    pacer.correct(estimated=1100, used=100)
    assert pacer.take(100) == pytest.approx(1.0)
    pacer.correct(estimated=100, used=300)
    assert pacer.take(0) == pytest.approx(3.0)
    assert Pacer(None, None, clock).take(10**9) == 0.0


def test_the_estimate_is_a_token_for_four_characters_and_all_that_may_be_answered() -> None:
    assert request_tokens(request("x" * 401, max_tokens=50)) == (101, 50)
    assert request_tokens(request("", max_tokens=None)) == (0, 1024)


def started(limits: dict[str, float], calls: int) -> list[float]:
    async def main() -> list[float]:
        server = Server()
        spec = ModelSpec(model="openai/m", concurrency=64, **limits)  # type: ignore[arg-type]
        engine = SteadyEngine(server, spec, clock=LoopClock())
        text = "x" * 400
        await asyncio.gather(
            *(engine.acomplete(request(text, max_tokens=100, seed=i)) for i in range(calls))
        )
        return server.at_s

    return run(main)


def test_requests_a_minute() -> None:
    at_s = started({"requests_per_minute": 120.0}, 300)
    assert most_in_a_minute([(s, 1.0) for s in at_s]) <= 122
    assert at_s[-1] == pytest.approx(299 / 2 - 1 / 2)


def test_tokens_a_minute_are_what_was_used_once_that_is_known() -> None:
    # 200 tokens are estimated and 11 are used: after the first round the pace is that of use.
    at_s = started({"tokens_per_minute": 2400.0}, 200)
    used = [(s, 11.0) for s in at_s]
    assert most_in_a_minute(used) <= 2400 + 64 * 11
    assert at_s[-1] < 200 * 200 / 40 / 2


def test_the_gate_halves_once_for_calls_that_were_on_their_way_together() -> None:
    clock = JumpClock()
    gate = Gate(32, clock)
    turns = [gate.enter() for _ in range(40)]
    assert [t.done() for t in turns] == [True] * 32 + [False] * 8
    clock.sleep(1.0)
    for _ in range(10):
        gate.refused(started_s=0.0)
    assert gate.limit == 16
    clock.sleep(1.0)
    gate.refused(started_s=1.5)
    assert gate.limit == 8
    for turn in turns[:24]:
        gate.leave(turn)
    assert not turns[32].done(), "eight are still under way"
    gate.leave(turns[24])
    assert turns[32].done()
    for _ in range(9):
        gate.answered(started_s=2.5, latency_s=1.0)
    assert gate.limit == 9


def test_the_gate_never_closes() -> None:
    clock = JumpClock()
    gate = Gate(4, clock)
    for _ in itertools.repeat(None, 10):
        clock.sleep(1.0)
        gate.refused(started_s=clock.now(), retry_after_s=0.0)
    assert gate.limit == 1
    assert gate.enter().done()


def test_latency_has_grown_when_a_median_is_three_times_the_best() -> None:
    watch = LatencyWatch()
    assert not any(watch.has_grown(0.2) for _ in range(32))
    # A few slow answers are no load; neither are differences that are noise.
    assert not any(watch.has_grown(5.0 if i < 7 else 0.2) for i in range(16))
    assert [watch.has_grown(1.0) for _ in range(16)] == [False] * 15 + [True]
    tiny = LatencyWatch()
    assert not any(tiny.has_grown(0.001 if i < 16 else 0.05) for i in range(32))
