"""Power: what reports state is what simulation gives, and what they ask for would decide."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.error_rates import DESIGNS, GAIN, PAID, first_looks, spread_of, stated
from benchmarks.error_rates_worlds import worlds
from tests.unit.gate.gate_worlds import look, side
from upturn.gate import GateReport, GateRules, Told, decide
from upturn.gate.designs.fixed import analyse
from upturn.gate.power import Spread, least_groups, power, rows_to_find
from upturn.gate.statistics import Clusters
from upturn.records import Verdict, canonical_json

WORLDS = {w.name: w for w in worlds()}
SINGLE = Spread(variance=0.3, clumping=1.0, step=1.0, rows_per_group=1.0, largest=1.0)
#: A gain of .05 seen on 60 rows, which may be chance.
PAIR = (side([0.0] * 8 + [1.0] * 52), side([1.0] * 8 + [0.0] * 4 + [1.0] * 48))


@pytest.mark.parametrize("kind", ["binary", "clustered"])
@pytest.mark.parametrize("name", ["fixed", "power family"])
def test_the_stated_power_is_that_of_the_test(kind: str, name: str):
    world, runs = WORLDS[kind], 500
    hits, _ = first_looks(name, world, GAIN, runs)
    claimed = stated(name, spread_of(world))
    # 3 points, and three standard errors of 500 runs
    assert hits / runs == pytest.approx(claimed, abs=0.03 + 3 * (0.25 / runs) ** 0.5 * 0.8)


def test_few_uneven_groups_of_whole_numbers():
    # 20 groups, half of them of one row and half of nine: far from a normal mean of 100 rows.
    rng, runs, rules = np.random.default_rng(2), 1500, GateRules(draws=1000)
    sizes = np.array([1.0, 9.0] * 10)
    hits, sums = 0, []
    for _ in range(runs):
        rows = [rng.choice([1, 0, -1], p=[0.4, 0.5, 0.1], size=int(n)).sum() for n in sizes]
        sums.append(rows)
        found = analyse(Clusters(sums=np.array(rows, float), sizes=sizes), alpha=0.025, draws=1000,
                        seed=0)  # fmt: skip
        hits += found.p_value <= 0.025
    spread = Spread(variance=0.41 - 0.09, clumping=820 / 100, step=1.0, rows_per_group=5.0,
                    largest=9.0)  # fmt: skip
    claimed = power(spread, 0.3, rows=100, alpha=0.025, rules=rules)
    assert hits / runs == pytest.approx(claimed, abs=0.03 + 0.012)
    assert np.mean(np.sum(sums, axis=1)) == pytest.approx(30, abs=1)


@pytest.mark.parametrize("name", list(DESIGNS))
def test_power_rises_with_rows_gain_and_level(name: str):
    rules = GateRules(design=DESIGNS[name], min_gain=0.02)

    def found(rows=400, gain=0.08, alpha=0.025) -> float:
        return power(SINGLE, gain, rows=rows, alpha=alpha, rules=rules)

    assert 0 < found(100) < found() < found(1600) <= 1
    assert found(gain=0.04) < found() < found(gain=0.12)
    assert found(alpha=0.005) < found() < found(alpha=0.1)
    assert found(4) == 0.0  # no four groups reject at .025
    assert power(replace(SINGLE, variance=0.0), 0.5, rows=9, alpha=0.025, rules=rules) == 1.0


@pytest.mark.parametrize("name", ["fixed", "power family"])
def test_the_rows_that_are_asked_for_have_the_power_that_was_asked_for(name: str):
    rules = GateRules(design=DESIGNS[name], power=0.9)
    rows = rows_to_find(SINGLE, 0.06, rules=rules)
    first = {"alpha": PAID[0], "rules": rules}
    assert power(SINGLE, 0.06, rows=rows, **first) >= 0.9
    assert power(SINGLE, 0.06, rows=rows * 0.98, **first) < 0.9
    assert rows_to_find(SINGLE, 1e-6, rules=rules) is None
    assert rows_to_find(replace(SINGLE, rows_per_group=50.0), 0.9, rules=rules) >= 300


def test_an_inconclusive_report_says_what_it_could_find_and_what_it_would_take():
    rules = GateRules(draws=1000, min_gain=0.05)
    report = decide(*PAIR, rules=rules, look=look(), told=Told(rows_per_day=30.0))
    found = report.power
    assert report.verdict is Verdict.INCONCLUSIVE
    assert (found.gain, found.target) == (pytest.approx(4 / 60), 0.8)
    assert (found.rows, found.groups) == (report.rows_needed, report.rows_needed)
    assert 0 < found.for_min_gain < found.for_effect < 0.4
    assert found.days == pytest.approx(found.rows / 30)
    sentence = next(r for r in report.reasons if r.startswith("This look could find"))
    assert f"{found.rows} fresh rows in about {found.groups} groups, about" in sentence
    assert GateReport.from_json(json.loads(canonical_json(report.to_json()))) == report


def test_what_is_not_known_is_not_told():
    rules = GateRules(draws=1000)
    found = decide(*PAIR, rules=rules, look=look()).power
    assert (found.days, found.for_min_gain) == (None, None)
    assert decide(PAIR[1], PAIR[0], rules=rules, look=look()).power is None  # HOLD
    worse = decide(PAIR[1], PAIR[0], rules=rules, look=look(6, 0.0))
    assert (worse.verdict, worse.power) == (Verdict.INCONCLUSIVE, None)  # no gain to find
    spent = decide(*PAIR, rules=rules, look=look(6, 0.0))
    assert spent.power.rows == decide(*PAIR, rules=rules, look=look()).power.rows


def test_the_least_number_of_groups():
    assert [least_groups(a) for a in (0.5, 0.05, 0.025, 1 / 64)] == [1, 5, 6, 6]
