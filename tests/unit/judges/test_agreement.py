"""Kappa: against statsmodels to the last digits, and its intervals as statistics."""

from __future__ import annotations

import numpy as np
import pytest

from upturn.judges import agreement


def raters(rng, n: int, levels: int, same: float) -> tuple[list[float], list[float]]:
    """Two raters on a scale of ``levels``; the second copies the first on a share of the rows."""
    first = rng.integers(0, levels, n)
    other = np.where(rng.random(n) < same, first, rng.integers(0, levels, n))
    scale = max(levels - 1, 1)
    return (first / scale).tolist(), (other / scale).tolist()


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
@pytest.mark.parametrize("levels", [2, 3, 7])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_that_of_statsmodels(weights, levels, seed):
    rater = pytest.importorskip("statsmodels.stats.inter_rater")
    judge, human = raters(np.random.default_rng(seed), 120, levels, 0.5)
    found = agreement(judge, human, [str(i) for i in range(120)], weights=weights)
    values = sorted({*judge, *human})
    table = np.zeros((len(values), len(values)))
    for one, other in zip(judge, human, strict=True):
        table[values.index(one), values.index(other)] += 1
    wanted = rater.cohens_kappa(table, wt=None if weights == "none" else weights)
    assert found.kappa == pytest.approx(wanted.kappa, abs=1e-9)
    assert found.low == pytest.approx(wanted.kappa_low, abs=1e-9)
    assert found.high == pytest.approx(min(wanted.kappa_upp, 1.0), abs=1e-9)
    assert found.interval == "large sample"


@pytest.mark.parametrize("weights", ["linear", "quadratic"])
def test_unequal_distances_count_as_they_are(weights):
    rater = pytest.importorskip("statsmodels.stats.inter_rater")
    values, rng = [0.0, 0.1, 0.25, 1.0], np.random.default_rng(11)
    judge = rng.integers(0, 4, 150)
    human = np.where(rng.random(150) < 0.4, judge, rng.integers(0, 4, 150))
    table = np.zeros((4, 4))
    np.add.at(table, (judge, human), 1)
    wanted = rater.cohens_kappa(table, weights=np.array(values), wt=weights)
    sides = ([values[i] for i in side] for side in (judge, human))
    found = agreement(*sides, [str(i) for i in range(150)], weights=weights)
    assert (found.kappa, found.low) == pytest.approx((wanted.kappa, wanted.kappa_low), abs=1e-9)


def test_a_worked_example_by_hand():
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: P_o = .7, P_e = .5 * .6 + .5 * .4 = .5.
    judge = [1.0] * 25 + [0.0] * 25
    human = [1.0] * 20 + [0.0] * 5 + [1.0] * 10 + [0.0] * 15
    found = agreement(judge, human, [str(i) for i in range(50)])
    assert (found.observed, found.expected, found.kappa) == pytest.approx((0.7, 0.5, 0.4))


def test_words_have_no_order_and_near_numbers_agree_in_part():
    names = [str(i) for i in range(4)]
    assert agreement(["a", "b", "c", "a"], ["a", "b", "c", "a"], names).kappa == 1.0
    judge, human = [0.0, 0.5, 1.0, 1.0], [0.0, 0.5, 1.0, 0.5]
    plain, graded = (agreement(judge, human, names, weights=w) for w in ("none", "quadratic"))
    assert plain.kappa < graded.kappa < 1.0


def test_one_class_only_is_undefined_and_says_so():
    found = agreement([1.0] * 9, [1.0] * 9, [str(i) for i in range(9)])
    assert (found.kappa, found.low, found.high) == (None, None, None)
    # The judge never differs, people do: that is defined, and no agreement beyond chance.
    found = agreement([1.0] * 9, [1.0] * 5 + [0.0] * 4, [str(i) for i in range(9)])
    assert found.kappa == pytest.approx(0.0)


def test_the_large_sample_interval_covers_what_it_should():
    # Two raters who agree on half of the rows by copying, else by chance: kappa is .5.
    rng, covered, times = np.random.default_rng(7), 0, 1000
    for _ in range(times):
        judge, human = raters(rng, 200, 2, 0.5)
        found = agreement(judge, human, [str(i) for i in range(200)])
        covered += found.low <= 0.5 <= found.high
    # 0.95 with a standard error of .007; the approximation may cost a little.
    assert covered / times >= 0.93


def test_groups_make_the_interval_wider_and_it_still_covers():
    rng, covered, times = np.random.default_rng(8), 0, 200
    wider = 0
    for _ in range(times):
        # 40 groups of 6 rows: a group is copied as a whole, or not at all.
        first = rng.integers(0, 2, (40, 6))
        other = np.where(rng.random((40, 1)) < 0.5, first, rng.integers(0, 2, (40, 6)))
        judge, human = first.ravel().astype(float).tolist(), other.ravel().astype(float).tolist()
        names = [f"g{i // 6}" for i in range(240)]
        found = agreement(judge, human, names)
        alone = agreement(judge, human, [str(i) for i in range(240)])
        covered += found.low <= 0.5 <= found.high
        wider += found.high - found.low > alone.high - alone.low
        assert (found.interval, found.groups, found.kappa) == ("cluster bootstrap", 40, alone.kappa)
    assert covered / times >= 0.88  # a percentile interval of 40 groups is a little short
    assert wider / times >= 0.95


def test_the_same_seed_gives_the_same_interval():
    judge, human = raters(np.random.default_rng(1), 60, 3, 0.6)
    names = [f"g{i // 2}" for i in range(60)]
    assert agreement(judge, human, names, seed=3) == agreement(judge, human, names, seed=3)
    assert agreement(judge, human, names, seed=3) != agreement(judge, human, names, seed=4)
