"""What later looks tell: an analyst who tunes by it fits the holdout far less."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.gate.gate_worlds import binary_pair, look, row, side
from upturn.gate import GateReport, GateRules, Guards, decide
from upturn.gate.ladder import best_released, climb, is_exact, released
from upturn.records import FailureKind, Verdict, canonical_json
from upturn.report.format import guard_finding

RULES = GateRules(
    draws=1000,
    min_gain=0.4,
    guards=Guards(failure_rate_margin=1.0, failure_rate_cap=1.0, automatic_slices=False),
)
#: Effect and standard error -> the effect that an analyst is told, and whether that is news.
Told = Callable[[float, float], tuple[float, bool]]


def told_exactly() -> Told:
    return lambda effect, error: (effect, True)


def told_by_the_ladder() -> Told:
    best = 0.0

    def tell(effect: float, error: float) -> tuple[float, bool]:
        nonlocal best
        step = climb(best, effect, error)
        best = step.effect
        return step.effect, step.climbed

    return tell


def effect_of(right: np.ndarray, champion: np.ndarray) -> tuple[float, float]:
    apart = right.astype(float) - champion
    return float(apart.mean()), float(apart.std(ddof=1) / np.sqrt(len(apart)))


def hill_climber(rng: np.random.Generator, tell: Told, *, n: int, looks: int) -> float:
    """Changes a few answers at a time and keeps what is told to be better. Returns the effect
    that the last kept answers have on the holdout; on fresh rows it would be 0."""
    truth = rng.integers(0, 2, size=n)
    kept = rng.integers(0, 2, size=n)
    champion = (kept == truth).astype(float)
    best = 0.0
    for _ in range(looks):
        flipped = rng.random(n) < 0.05
        tried = np.where(flipped, 1 - kept, kept)
        said, news = tell(*effect_of(tried == truth, champion))
        if news and said > best:
            kept, best = tried, said
    return effect_of(kept == truth, champion)[0]


def booster(rng: np.random.Generator, tell: Told, *, n: int, looks: int) -> float:
    """The attack of Blum and Hardt, section 4: a majority vote of all random answers that are told
    to be better than the champion. Returns the vote's effect on the holdout; elsewhere it is 0."""
    truth = rng.integers(0, 2, size=n)
    champion = (rng.integers(0, 2, size=n) == truth).astype(float)
    votes = np.zeros(n)
    for _ in range(looks):
        tried = rng.integers(0, 2, size=n)
        said, news = tell(*effect_of(tried == truth, champion))
        if news and said > 0:
            votes += 2 * tried - 1
    voted = np.where(votes == 0, rng.integers(0, 2, size=n), votes > 0)
    return effect_of(voted == truth, champion)[0]


@pytest.mark.parametrize("analyst", [hill_climber, booster])
def test_who_tunes_by_released_scores_gains_far_less_on_the_holdout(analyst):
    gains = {
        how: np.array(
            [
                analyst(np.random.default_rng([world, 1]), make(), n=300, looks=120)
                for world in range(40)
            ]
        )
        for how, make in (("exact", told_exactly), ("ladder", told_by_the_ladder))
    }
    exact, ladder = gains["exact"].mean(), gains["ladder"].mean()
    assert exact > 0.1  # told exactly, nothing becomes a gain that min_gain would take
    assert ladder < exact / 2


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0.001, 0.3)), max_size=30))
def test_a_ladder_only_climbs_and_never_by_less_than_a_step(looks: list[tuple[float, float]]):
    best = 0.0
    for effect, error in looks:
        step = climb(best, effect, error)
        assert step.climbed == (effect > best + error)
        if step.climbed:
            assert abs(step.effect - effect) <= error / 2 + 1e-12
            assert step.effect > best
        else:
            assert step.effect == best
        best = step.effect


def test_a_look_without_an_effect_says_nothing():
    assert climb(0.1, None, None).effect == 0.1
    assert not climb(0.1, None, None).climbed


def report(gain: float, number: int, *, seed: int = 0, alpha: float = 0.0125) -> GateReport:
    rng = np.random.default_rng(seed)
    before, after = binary_pair(rng, 200, 0.5, 0.5 + gain)
    sides = [side(s, name=n) for s, n in ((before, "champion"), (after, "challenger"))]
    broken = [replace(r, slices={"lang": "de"}) for r in sides[1].rows]
    broken[0] = row(0, None, failure=FailureKind.FORMAT)
    first = replace(sides[0], rows=tuple(replace(r, slices={"lang": "de"}) for r in sides[0].rows))
    return decide(
        first,
        replace(sides[1], rows=tuple(broken)),
        rules=RULES,
        look=look(number, alpha),
    )


def test_a_first_look_and_a_promotion_go_out_as_they_are():
    first = report(0.2, 1)
    assert is_exact(first)
    assert released(first, 0.0) is first
    promoted = replace(report(0.2, 2), verdict=Verdict.PROMOTE)
    assert released(promoted, 0.0) is promoted


def test_a_later_look_tells_its_step_and_none_of_its_numbers():
    exact = report(0.3, 2)
    assert exact.effect > exact.standard_error > 0
    out = released(exact, 0.0)
    assert out.withheld
    assert (out.verdict, out.look, out.n, out.rows) == (exact.verdict, 2, exact.n, exact.rows)
    assert abs(out.effect - exact.effect) <= exact.standard_error / 2
    hidden = (out.low, out.high, out.p_value, out.baseline_score, out.challenger_score)
    assert set(hidden) == {None}
    assert (out.slices, out.noise, out.rows_needed, out.standard_error) == ((), None, None, None)
    values = {(g.baseline, g.challenger, g.limit, g.p_value) for g in out.guards}
    assert values == {(None, None, None, None)}
    assert {guard_finding(g) for g in out.guards} <= {"ok", "broken", "not judged"}
    assert [guard_finding(g) == "not judged" for g in out.guards] == [
        g.limit is None for g in exact.guards
    ]
    assert [g.unit for g in out.guards] == [g.unit for g in exact.guards]
    assert "exact scores are withheld" in out.reasons[0]
    assert (out.power, out.staged, out.human) == (None, None, None)
    text = canonical_json(out.to_json())
    for number in (exact.low, exact.p_value, exact.challenger_score, exact.standard_error):
        assert repr(number) not in text
    assert GateReport.from_json(json.loads(text)) == out


def test_no_step_tells_that_there_is_none():
    exact = report(0.1, 3)
    out = released(exact, 0.25)
    assert out.effect is None
    assert out.reasons[0].startswith("No better than +0.250, the best seen at this holdout before")
    spent = released(replace(exact, alpha=0.0), 0.25)
    assert "Its error budget is spent" in spent.reasons[0]


def test_the_ladder_is_climbed_again_from_the_exact_reports():
    first, second, third = report(0.1, 1, seed=1), report(0.3, 2, seed=2), report(0.28, 3, seed=3)
    assert best_released([], "champion") == 0.0
    assert best_released([first], "champion") == max(0.0, first.effect)
    after = released(second, best_released([first], "champion")).effect
    assert best_released([first, second], "champion") == after
    assert best_released([first, second, third], "champion") == after
    # Another champion is another ladder.
    assert best_released([first, second], "another") == 0.0
