"""Spending functions and z boundaries against published tables."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from upturn.gate.boundaries import (
    Density,
    obrien_fleming,
    pocock,
    power_family,
    spent_by,
    z_boundaries,
)


def times(stages: int) -> tuple[float, ...]:
    return tuple(k / stages for k in range(1, stages + 1))


@pytest.mark.parametrize(
    ("spending", "expected"),
    [
        (obrien_fleming, (4.3326, 2.9631, 2.3590, 2.0141)),
        (pocock, (2.3683, 2.3675, 2.3580, 2.3503)),
        (obrien_fleming, (4.8769, 3.3569, 2.6803, 2.2898, 2.0310)),
        (obrien_fleming, (1.9600,)),
        (pocock, (1.9600,)),
    ],
)
def test_boundaries_are_those_of_lan_and_demets(spending, expected):
    at = times(len(expected))
    found = z_boundaries(at, spent_by(spending, at, 0.025))
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("Pocock 1977", [2.413] * 5),
        ("O'Brien and Fleming 1979", [2.040 * math.sqrt(5 / k) for k in range(1, 6)]),
        ("one look", [1.95996]),
    ],
)
def test_classical_boundaries_are_crossed_with_their_error(name: str, bounds):
    density, crossed, before = Density(), 0.0, 0.0
    for bound, time in zip(bounds, times(len(bounds)), strict=True):
        density.step(time - before)
        crossed += density.crossing(bound * math.sqrt(time))
        density.cut(bound * math.sqrt(time))
        before = time
    assert crossed == pytest.approx(0.025, abs=5e-5), name


def test_spending_starts_at_nothing_never_falls_and_ends_at_alpha():
    for spending in (obrien_fleming, pocock, power_family(2.5)):
        spent = [spending(k / 100, 0.025) for k in range(101)]
        assert spent[0] == 0.0
        assert spent == sorted(spent)
        assert spent[-1] == pytest.approx(0.025)
    assert obrien_fleming(0.5, 0.025) == pytest.approx(0.00153, abs=1e-5)
    assert pocock(0.5, 0.025) == pytest.approx(0.01550, abs=1e-5)


def test_a_stage_that_may_spend_nothing_has_no_boundary():
    assert z_boundaries((0.5, 1.0), (0.0, 0.025)) == pytest.approx((math.inf, 1.95996), abs=1e-4)


def test_the_power_family_is_crossed_with_the_error_that_it_spends():
    # Two stages can be integrated by hand: P(Z1 < z1, Z2 >= z2) with correlation sqrt(t).
    spent = spent_by(power_family(3.0), (0.5, 1.0), 0.025)
    assert spent == (0.025 / 8, 0.025)
    first, second = z_boundaries((0.5, 1.0), spent)
    assert first == pytest.approx(stats.norm.isf(0.025 / 8), abs=1e-6)
    both = stats.multivariate_normal(cov=[[1, 0.5**0.5], [0.5**0.5, 1]])
    only_second = stats.norm.cdf(first) - both.cdf([first, second])
    assert only_second == pytest.approx(0.025 * 7 / 8, abs=1e-5)


def test_a_drift_is_crossed_as_the_normal_distribution_has_it():
    density = Density(drift=2.8016, points=101)
    density.step(0.4)
    density.cut(math.inf)
    density.step(0.6)
    assert density.crossing(1.95996) == pytest.approx(0.8, abs=1e-4)
