"""The gate's share is set aside first, in calls, money and time."""

import pytest

from upturn.errors import ConfigError
from upturn.lm import CallRecord, Caps, Meter
from upturn.pipeline.allowance import Allowance


def allowance(caps, *, paid=0, cached=0, usd=0.0, seconds=0.0):
    now = [0.0]
    meter = Meter(caps, clock=lambda: now[0])
    record = CallRecord(latency_s=0.1, input_tokens=1, output_tokens=1, cost_usd=usd, cached=False)
    for _ in range(paid):
        meter.reserve()
        meter.settle(record)
    for _ in range(cached):
        meter.replay(record)
    now[0] = seconds
    return Allowance(meter=meter, caps=caps, reserved_calls=100, trial_calls=50)


def test_without_caps_nothing_is_refused():
    assert allowance(Caps(), paid=10_000, usd=1.0, seconds=1e6).refusal() == ""


@pytest.mark.parametrize(("paid", "refused"), [(50, False), (51, True)])
def test_calls_for_the_gate_are_set_aside(paid, refused):
    found = allowance(Caps(max_calls=200), paid=paid).refusal()
    assert bool(found) is refused
    assert "200 calls" in found or not refused


@pytest.mark.parametrize(("usd", "refused"), [(0.01, False), (0.05, True)])
def test_money_for_the_gate_is_estimated_from_what_calls_cost(usd, refused):
    found = allowance(Caps(max_usd=5.0), paid=20, usd=usd).refusal()
    assert bool(found) is refused


def test_time_goes_by_the_pace_of_many_answers_only():
    caps = Caps(max_seconds=600.0)
    assert allowance(caps, paid=48, cached=10, seconds=300.0).refusal() == ""
    assert allowance(caps, paid=48, cached=387, seconds=21.0).refusal() == ""
    assert "600 seconds" in allowance(caps, paid=300, seconds=550.0).refusal()


def test_a_budget_below_one_trial_and_the_gate_is_refused():
    with pytest.raises(ConfigError, match="max_calls must be >= 150") as caught:
        allowance(Caps(max_calls=149)).check()
    assert "set budget.max_calls=450" in caught.value.fix
    allowance(Caps(max_calls=150)).check()
