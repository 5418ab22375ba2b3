"""Caps hold, and what was paid is told from what was not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from upturn.errors import BudgetExceededError
from upturn.lm import CallRecord, Caps, Meter


def record(cost_usd: float = 0.0, *, cached: bool = False) -> CallRecord:
    return CallRecord(
        latency_s=0.5, input_tokens=10, output_tokens=2, cost_usd=cost_usd, cached=cached
    )


def test_totals_count_paid_and_cached_calls_apart() -> None:
    meter = Meter(clock=iter([0.0, 7.5]).__next__)
    for _ in range(3):
        meter.replay(record(1.0, cached=True))
    totals = meter.totals()
    assert (totals.calls, totals.cached_calls, totals.usd) == (0, 3, 0.0)
    assert totals.seconds == 7.5


def test_the_cap_on_calls_is_never_overshot_by_32_threads() -> None:
    meter = Meter(Caps(max_calls=50))

    def call(_: int) -> bool:
        try:
            meter.reserve()
        except BudgetExceededError:
            return False
        meter.settle(record())
        return True

    with ThreadPoolExecutor(32) as pool:
        made = sum(pool.map(call, range(400)))
    assert made == meter.totals().calls == 50


def test_a_failed_call_gives_its_reservation_back() -> None:
    meter = Meter(Caps(max_calls=1))
    meter.reserve()
    meter.cancel()
    meter.reserve()
    meter.settle(record())
    with pytest.raises(BudgetExceededError, match="calls must stay below the cap of 1, got 1"):
        meter.reserve()
    assert (meter.totals().calls, meter.totals().failed_calls) == (1, 1)


def test_what_was_spent_before_counts_against_the_caps_only() -> None:
    meter = Meter(Caps(max_usd=1.0), calls_before=9, usd_before=0.75)
    meter.reserve()
    meter.settle(record(0.25))
    with pytest.raises(BudgetExceededError) as caught:
        meter.reserve()
    assert caught.value.where == "caps.max_usd"
    assert (meter.totals().usd, meter.totals().calls) == (0.25, 1)


def test_the_cap_on_time_stops_the_next_call() -> None:
    now = [100.0]
    meter = Meter(Caps(max_seconds=60), clock=lambda: now[0], seconds_before=50)
    meter.reserve()
    now[0] = 110.0
    with pytest.raises(BudgetExceededError, match="seconds must stay below the cap of 60, got 60"):
        meter.reserve()


def test_a_recording_holds_the_calls_of_its_own_thread() -> None:
    meter = Meter()

    def row(n: int) -> list[float]:
        with meter.record() as calls:
            for i in range(n):
                meter.reserve()
                meter.settle(record(float(n * 100 + i)))
        return [c.cost_usd for c in calls]

    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(row, range(5)))
    assert rows == [[float(n * 100 + i) for i in range(n)] for n in range(5)]


def test_recordings_nest() -> None:
    meter = Meter()
    with meter.record() as outer:
        meter.replay(record(1.0, cached=True))
        with meter.record() as inner:
            meter.replay(record(2.0, cached=True))
    assert [c.cost_usd for c in outer] == [1.0, 2.0]
    assert [c.cost_usd for c in inner] == [2.0]
