"""Caps hold, and what was paid is told from what was not."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

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


@dataclass
class World:
    """One seeded run: calls of random prices, and what was in flight when the cap was crossed."""

    seed: int
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.price = 10 ** self.rng.uniform(-4, -1)
        self.cap = self.price * self.rng.uniform(5, 200)
        self.meter = Meter(Caps(max_usd=self.cap))
        # The bound is a price times up to 60: the tokens that an answer may have, and seldom has.
        self.slack = self.rng.uniform(1, 60)
        self.spent = 0.0
        self.flying: dict[int, float] = {}
        self.lock = threading.Lock()

    def cost(self) -> float:
        with self.lock:
            return self.price * self.rng.uniform(0.3, 1.0)

    def depart(self, number: int, cost_usd: float) -> None:
        with self.lock:
            self.flying[number] = cost_usd

    def land(self, number: int) -> None:
        with self.lock:
            self.spent += self.flying[number]
            # The promise: never more than what is in flight, this call included.
            assert self.spent <= self.cap + sum(self.flying.values()) + 1e-9
            del self.flying[number]

    def call(self, number: int) -> bool:
        cost_usd, bound_usd = self.cost(), self.price * self.slack
        try:
            while not self.meter.reserve(bound_usd):
                threading.Event().wait(0.0005)
        except BudgetExceededError:
            return False
        self.depart(number, cost_usd)
        time.sleep(0)  # lets others go first
        if cost_usd < self.price * 0.33:
            with self.lock:
                del self.flying[number]
            self.meter.cancel(bound_usd)
            return True
        self.land(number)
        self.meter.settle(record(cost_usd), bound_usd)
        return True


@pytest.mark.parametrize("threads", [1, 2, 8, 32])
def test_money_is_overshot_by_calls_in_flight_at_most_in_100_random_runs(threads: int) -> None:
    for seed in range(25):
        world = World(1000 * threads + seed)
        with ThreadPoolExecutor(threads) as pool:
            made = list(pool.map(world.call, range(400)))
        totals = world.meter.totals()
        assert totals.usd == pytest.approx(world.spent)
        assert totals.calls + totals.failed_calls == sum(made)
        # One more call of the dearest kind would not fit, or all were made.
        assert all(made) or totals.usd > world.cap - world.price * (1 + 1e-9)


def simulated(seed: int, calls: int) -> tuple[float, float]:
    """One run in a random order that the seed decides; returns (overshoot, cap), in prices."""
    world = World(seed)
    flying: list[float] = []
    refused = False
    bound_usd = world.price * world.slack
    while not refused or flying:
        if not refused and len(flying) < calls and world.rng.random() < 0.7:
            try:
                if world.meter.reserve(bound_usd):
                    flying.append(world.cost())
                    continue
            except BudgetExceededError:
                refused = True
        if flying:
            cost_usd = flying.pop(world.rng.randrange(len(flying)))
            world.meter.settle(record(cost_usd), bound_usd)
    spent = world.meter.totals().usd
    return max(0.0, spent - world.cap) / world.price, world.cap / world.price


def test_money_is_usually_not_overshot_at_all() -> None:
    runs = [simulated(seed, calls=32) for seed in range(100)]
    over = [overshoot for overshoot, _ in runs if overshoot > 1e-9]
    # Calls that are dearer than all before them, while the last money is in flight.
    assert len(over) <= 1
    assert max(over, default=0.0) < 1.0


def test_calls_in_flight_are_reserved_for_in_full_until_prices_are_known() -> None:
    meter = Meter(Caps(max_usd=10.0))
    assert [meter.reserve(4.0) for _ in range(4)] == [True, True, False, False]
    meter.settle(record(0.1), 4.0)
    assert meter.reserve(4.0)
    assert not meter.reserve(4.0)


def test_after_eight_calls_the_dearest_share_of_a_bound_counts() -> None:
    meter = Meter(Caps(max_usd=10.0))
    for cost_usd in (0.1, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1):
        assert meter.reserve(5.0)
        meter.settle(record(cost_usd), 5.0)
    # 1.2 are spent, and each call is expected to cost 0.5: seventeen fit into what is left.
    assert sum(meter.reserve(5.0) for _ in range(30)) == 17
    meter.cancel(5.0)
    assert meter.reserve(5.0)


def test_a_call_that_does_not_fit_any_more_is_refused() -> None:
    meter = Meter(Caps(max_usd=1.0))
    for _ in range(9):
        assert meter.reserve(0.1)
        meter.settle(record(0.1), 0.1)
    assert meter.reserve(0.1)
    meter.settle(record(0.05), 0.1)
    with pytest.raises(BudgetExceededError, match=r"usd must stay below the cap of 1, got 0\.95"):
        meter.reserve(0.1)


def test_a_first_call_whose_bound_is_above_the_cap_may_try_alone() -> None:
    meter = Meter(Caps(max_usd=1.0))
    assert meter.reserve(50.0)
    assert not meter.reserve(50.0)
    meter.settle(record(0.01), 50.0)
    assert meter.reserve(50.0)
