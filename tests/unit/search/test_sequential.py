"""The rule by which a candidate is called worse: its error over many looks, and its power."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.search.worlds import World, study
from upturn.search.samplers import UniformSampler
from upturn.search.sequential import (
    BETS,
    LeavingRule,
    log_wealth,
    unit_differences,
    whole_units,
)


def test_the_wealth_is_the_mean_over_bets_of_the_products():
    gaps = np.array([-1.0, 0.0, -0.5, 1.0])
    by_hand = [np.mean([math.prod(1 - b * d for d in gaps[:n]) for b in BETS]) for n in range(1, 5)]
    assert log_wealth(gaps) == pytest.approx(math.log(max(by_hand)))
    assert log_wealth(np.array([1.0, 1.0])) == 0.0
    assert log_wealth(np.empty(0)) == 0.0


@given(st.lists(st.floats(-1, 1), max_size=40), st.floats(-1, 1))
def test_a_further_look_never_takes_evidence_back(gaps, last):
    before = log_wealth(np.array(gaps))
    assert log_wealth(np.array([*gaps, last])) >= before - 1e-12


def _first_exit(gaps_SN, level, rivals=1):
    rule = LeavingRule(level=level, rivals=rivals)
    return np.mean([rule.is_worse(gaps_N) for gaps_N in gaps_SN])


def test_an_equal_candidate_is_called_worse_at_most_as_often_as_stated():
    rng = np.random.default_rng(1)
    # Paired right-or-wrong differences that are 0 on average, looked at after every row.
    gaps = rng.choice([-1.0, 0.0, 1.0], p=[0.25, 0.5, 0.25], size=(2000, 300))
    left = _first_exit(gaps, 0.1)
    assert left <= 0.1
    assert left >= 0.01, "a rule that never fires would pass, too"


def test_differences_by_slice_that_cancel_keep_the_error():
    rng = np.random.default_rng(2)
    # Rows come slice by slice in turn; the candidate is worse in one and better in the other.
    means = np.tile([-0.3, 0.3], 150)
    gaps = np.where(rng.random((2000, 300)) < 0.5 + means / 2, 1.0, -1.0)
    assert _first_exit(gaps, 0.1) <= 0.1


def test_a_clearly_worse_candidate_leaves_early():
    rng = np.random.default_rng(3)
    gaps = rng.choice([-1.0, 0.0, 1.0], p=[0.4, 0.5, 0.1], size=(400, 200))
    assert _first_exit(gaps, 0.1, rivals=30) >= 0.95
    assert _first_exit(gaps[:, :60], 0.1) >= 0.85


def test_the_true_best_by_a_twentieth_is_almost_never_dropped():
    """1,000 races of 13: the best is better by .05 than all others, who are lucky now and then.

    The leader is whoever looks best, which is the hard case: it was chosen for its luck.
    """
    rule = LeavingRule(level=0.1, rivals=12)
    dropped = 0
    for seed in range(1000):
        world = World({f"c{i:02d}": 0.5 for i in range(12)} | {"best": 0.55}, rows=160, seed=seed)
        values = np.array([world._values[name] for name in sorted(world.levels)])
        for upto in range(20, 161, 20):
            leader = int(values[:, :upto].mean(axis=1).argmax())
            # Names in order: "best" comes first.
            if leader and rule.is_worse(values[0, :upto] - values[leader, :upto]):
                dropped += 1
                break
    assert dropped <= 100, "the stated level is a tenth"


def test_a_study_drops_by_that_rule():
    levels = {"a": 0.6, "b": 0.62, "bad": 0.1, "worse": 0.05}
    made = study(World(levels, rows=200), UniformSampler(), evaluations=760, n_trials=4)
    for name in ("b", "bad", "worse"):
        made.enter({"p": name})
    made.extend([(e, 60) for e in made.entries])
    made.drop_worse()
    left = {e.choices["p"]: e.reason for e in made.entries if e.reason}
    assert set(left) == {"bad", "worse"}
    assert all(r.startswith("worse than t00") and "60 rows" in r for r in left.values())


def test_rows_of_a_group_count_as_one():
    candidate = np.array([1.0, 0.0, 0.0, np.nan, 1.0])
    rival = np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    units = np.array([0, 0, 0, 1, 2])
    assert unit_differences(candidate, rival, units).tolist() == [0.0, 0.0]
    assert unit_differences(candidate * np.nan, rival, units).tolist() == []


def test_a_group_that_is_cut_by_a_look_waits_for_the_next():
    units = np.array([0, 0, 1, 1, 1, 2])
    assert [whole_units(units, n) for n in range(7)] == [0, 0, 2, 2, 2, 5, 6]
