"""What every design keeps, and what each of them is: exact levels, order, and tables of others."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from upturn.errors import ConfigError
from upturn.gate import design, design_names
from upturn.gate.designs import Asked, Plan, plan_stages
from upturn.gate.designs.betting import BETS, log_wealth
from upturn.gate.designs.fixed import analyse
from upturn.gate.designs.group_sequential import stage_p
from upturn.gate.hope import conditional_power
from upturn.gate.statistics import Clusters, exact_p, subsets

NAMES = design_names()
ASKED = Asked(alpha=0.05, min_gain=0.0, draws=1000, seed=0)


def clusters_of(sums) -> Clusters:
    values = np.asarray(sums, float)
    return Clusters(sums=values, sizes=np.maximum(np.ceil(np.abs(values)), 1.0))


def plan_of(name: str, clusters: Clusters, **given) -> Plan:
    sizes = clusters.sizes.tolist()
    order = tuple(f"g{i:04d}" for i in range(len(sizes)))
    return Plan(order=order, sizes=tuple(sizes), cuts=design(name, given).cuts(len(sizes)))


def walked(name: str, clusters: Clusters, asked: Asked = ASKED, **given):
    """All looks of a design, none of them heeded."""
    plan = plan_of(name, clusters, **given)
    return [
        design(name, given).look(
            Clusters(sums=clusters.sums[:cut], sizes=clusters.sizes[:cut]), plan, asked
        )
        for cut in plan.cuts
    ]


def test_a_design_is_found_by_the_name_of_its_file():
    assert NAMES == ("betting", "fixed", "group_sequential")
    for name in NAMES:
        assert design(name).name == name


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("fixd", {}, "must be one of betting, fixed, group_sequential; got 'fixd'; did you mean"),
        ("fixed", {"stages": 3}, "design fixed has no settings; got stages"),
        ("betting", {"stagse": 3}, "got stagse; did you mean stages?"),
        ("betting", {"stages": 0}, "stages must be in 1 to 1000, got 0"),
        ("betting", {"stages": "many"}, "stages must be a whole number, got 'many'"),
        ("group_sequential", {"futility": True}, "futility must be a number, got True"),
        ("group_sequential", {"futility": 1.0}, r"futility must be in \[0, 1\), got 1.0"),
        ("group_sequential", {"spending": "pokock"}, "did you mean pocock"),
        ("group_sequential", {"rho": 0.2}, r"rho must be in \[0.5, 10\], got 0.2"),
    ],
)
def test_a_wrong_name_or_setting_is_named(name, given, told):
    with pytest.raises(ConfigError, match=told):
        design(name, given)


def test_the_order_of_the_groups_is_a_hash_of_holdout_and_name():
    sizes = {f"g{i}": 1.0 for i in range(40)}
    made = design("group_sequential", {"stages": 4})
    plans = [plan_stages(made, sizes, h) for h in ("a", "b")]
    turned = dict(reversed(sizes.items()))
    assert plan_stages(made, turned, "a") == plans[0]
    assert plans[0].order != plans[1].order
    assert sorted(plans[0].order) == sorted(sizes)
    assert plans[0].cuts == (10, 20, 30, 40)
    assert plans[0].times == (0.25, 0.5, 0.75, 1.0)
    assert [len(s) for s in plan_stages(design("betting"), {"a": 1, "b": 9}, "a").stages] == [1, 1]


def test_a_stage_tests_what_no_earlier_one_rejected_and_never_more_than_its_share():
    # All 2^9 sign vectors of one set of sums: the share that any stage rejects is its error.
    rng = np.random.default_rng(0)
    spent = (0.05, 0.15, 0.3)
    shares = []
    for _ in range(4):
        sums = rng.integers(-3, 4, size=9)
        hits = np.zeros(3)
        for signs in itertools.product((1, -1), repeat=9):
            parts = np.split(sums * np.array(signs), 3)
            under = [p <= a for p, a in zip(exact_p(parts, spent), spent, strict=True)]
            hits += np.maximum.accumulate(under)
        shares.append(hits / 2**9)
    assert np.all(np.array(shares) <= np.array(spent) + 1e-12)
    assert np.max(shares) > 0.2  # a test that never rejects would keep any level


def test_draws_give_what_the_exact_distribution_gives():
    sums, spent = np.random.default_rng(1).integers(-3, 5, size=60), (0.002, 0.01, 0.03, 0.05)
    parts = np.split(sums, 4)
    ones, draws = np.ones(15), 100_000
    drawn = [
        subsets(p.astype(float), ones, draws=draws, seed=[2, k], every=False)[0]
        for k, p in enumerate(parts)
    ]
    for exact, found in zip(exact_p(parts, spent), stage_p(drawn, spent), strict=True):
        # five standard errors
        assert float(found) == pytest.approx(exact, abs=5 * (exact / draws) ** 0.5)


@pytest.mark.parametrize("kind", ["binary", "graded", "groups"])
def test_one_stage_is_the_fixed_design(kind: str):
    rng = np.random.default_rng(3)
    sums = {
        "binary": rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.6, 0.3], size=60),
        "graded": rng.normal(0.1, 0.3, size=60),
        "groups": rng.integers(-3, 5, size=9).astype(float),
    }[kind]
    clusters = clusters_of(sums)
    fixed = analyse(clusters, alpha=0.05, draws=1000, seed=0)
    (one,) = walked("group_sequential", clusters, stages=1)
    assert one.p_value == pytest.approx(fixed.p_value, abs=1e-9)
    assert one.limits() == pytest.approx((fixed.low, fixed.high), abs=2e-6)
    assert one.level == 0.05


def test_capital_is_that_of_the_mean_of_fixed_bets():
    gains = [0.5, -1.0, 1.0, 0.25]
    capital = [np.prod([1 + b * g for g in gains]) for b in BETS]
    assert math.exp(log_wealth(np.array(gains))[-1]) == pytest.approx(np.mean(capital))
    assert all(0 < b < 1 for b in BETS)


def test_capital_is_fair_where_nothing_is_better():
    # Its mean over all sign vectors is 1 at every stage: a martingale.
    signs = np.array(list(itertools.product((1, -1), repeat=8)), float).T
    assert np.exp(log_wealth(signs * np.linspace(0.1, 1, 8)[:, None])).mean(axis=1) == (
        pytest.approx(np.ones(8))
    )


@pytest.mark.parametrize("name", ["group_sequential", "betting"])
def test_the_interval_and_the_test_agree_at_every_stage(name: str):
    rng = np.random.default_rng(4)
    seen = set()
    for gain in (0.0, 0.15, 0.3):
        for look in walked(name, clusters_of(rng.normal(gain, 0.5, size=60).clip(-1, 1))):
            low, high = look.limits()
            assert (low > 0) == look.rejects
            assert low <= high
            seen.add(look.rejects)
    assert seen == {True, False}


@pytest.mark.parametrize("name", NAMES)
def test_a_design_errs_no_more_than_it_may_at_any_of_its_stages(name: str):
    # None of the stops is heeded. 5.0 standard errors: one in a million for a level kept exactly.
    rng, runs, wrong = np.random.default_rng(5), 200, 0
    for _ in range(runs):
        clusters = clusters_of(rng.choice([-1.0, 0.0, 1.0], p=[0.2, 0.6, 0.2], size=48))
        wrong += any(look.rejects for look in walked(name, clusters))
    assert wrong <= stats.binom.isf(1e-6, runs, ASKED.alpha)


sums = st.lists(
    st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.37, 1.0, 1.0, 2.0, 3.0]), min_size=1, max_size=32
)


@settings(max_examples=60, derandomize=True)
@given(sums, st.data())
def test_lowering_a_sum_never_makes_a_design_more_hopeful(values, data: st.DataObject):
    index = data.draw(st.integers(0, len(values) - 1))
    size = max(1.0, math.ceil(max(map(abs, values))))
    lowered = [*values]
    lowered[index] = data.draw(st.floats(-size, values[index]))
    sizes = np.full(len(values), size)
    before, after = (Clusters(sums=np.array(v), sizes=sizes) for v in (values, lowered))
    for name in NAMES:
        for first, second in zip(walked(name, before), walked(name, after), strict=True):
            assert second.rejects <= first.rejects
            assert second.futile >= first.futile
            if first.test == second.test:
                assert second.p_value >= first.p_value - 1e-12


def test_conditional_power_is_what_simulation_gives():
    rng = np.random.default_rng(6)
    values = rng.choice([-1.0, 0.0, 1.0], p=[0.2, 0.55, 0.25], size=(200, 1))
    power = conditional_power(values, np.ones((200, 1)), share=0.5, min_gain=0.05, z=1.96)
    gain = max(values.mean(), 0.05)
    # as it takes it: the spread of the rows that were lost, on both sides
    spread = math.sqrt(2 * (values < 0).mean())
    rest = rng.normal(gain * 200, spread * math.sqrt(200), size=200_000)
    reached = (values.sum() + rest) / (spread * math.sqrt(400)) >= 1.96
    assert float(power[0]) == pytest.approx(reached.mean(), abs=0.006)


def test_conditional_power_at_its_ends():
    ask = {"share": 0.5, "min_gain": 0.05, "z": 1.96}
    assert float(conditional_power(np.full(5, -1.0), np.ones(5), **ask)) == 0.0
    assert float(conditional_power(np.full(5, 1.0), np.ones(5), **ask)) == 1.0
    assert float(conditional_power(np.zeros(0), np.zeros(0), **ask)) == 1.0
