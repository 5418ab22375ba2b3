"""What is believed of candidates: calibrated, shared over options, paired on rows."""

import numpy as np
import pytest

from upturn.search.beliefs import Beliefs
from upturn.search.space import Space

DEMOS, TEXTS = 10, 4


def space():
    return Space(
        options={
            "d": tuple(f"d{i}" for i in range(DEMOS)),
            "i": tuple(f"i{i}" for i in range(TEXTS)),
        },
        origins={
            "d": {f"d{i}": f"kind{i % 2}:{i % 4}" for i in range(DEMOS)},
            "i": {f"i{i}": "contrast:3" for i in range(TEXTS)},
        },
        chars=lambda c: 0,
    )


def world(seed, rows=120):
    """Levels that follow the model: an effect of each demo set, a small one of each text."""
    rng = np.random.default_rng(seed)
    made = space()
    effect = {"d": rng.normal(0, 0.1, DEMOS), "i": rng.normal(0, 0.03, TEXTS)}
    combinations = [made.at(n) for n in range(made.size)]
    level = np.array(
        [0.5 + effect["d"][int(c["d"][1:])] + effect["i"][int(c["i"][1:])] for c in combinations]
    )
    ease = rng.normal(0, 0.15, rows)
    values = (rng.random((made.size, rows)) < np.clip(level[:, None] + ease, 0, 1)).astype(float)
    return made, combinations, level, values


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    inside = []
    for seed in range(30):
        made, combinations, level, values = world(seed)
        ran = np.random.default_rng(seed).permutation(made.size)[:24]
        seen = np.full_like(values, np.nan)
        seen[:, :16] = values[:, :16]
        beliefs = Beliefs(2)
        beliefs.learn(made.codes([combinations[i] for i in ran]), seen[ran], fit=True)
        believed = beliefs.levels(made.codes(combinations))
        # Only differences between candidates matter to a search: the common part is the rows'.
        error = (believed.mean_C - believed.mean_C.mean()) - (level - level.mean())
        inside.append(np.mean(np.abs(error) <= 1.645 * believed.sd_C))
    assert 0.8 <= np.mean(inside) <= 0.99


def test_a_candidate_that_never_ran_is_known_by_its_options():
    gains = []
    for seed in range(20):
        made, combinations, level, values = world(seed)
        ran = [i for i in range(made.size) if combinations[i]["i"] != "i3"]
        rest = [i for i in range(made.size) if combinations[i]["i"] == "i3"]
        beliefs = Beliefs(2)
        beliefs.learn(made.codes([combinations[i] for i in ran]), values[ran][:, :40], fit=True)
        mean = beliefs.levels(made.codes([combinations[i] for i in rest])).mean_C
        gains.append(level[rest][mean.argmax()] - level[rest].mean())
    assert np.mean(gains) >= 0.1


def test_candidates_that_met_easy_rows_are_not_taken_for_better():
    made, combinations, _, _ = world(0)
    values = np.full((4, 40), np.nan)
    values[:3, :20] = 1.0  # rows 0 to 19 are easy for all
    values[:3, 20:] = 0.0  # the others hard
    values[3, :20] = 1.0  # and the last one met the easy ones only
    beliefs = Beliefs(2)
    codes = made.codes([combinations[i] for i in (0, 5, 10, 15)])
    beliefs.learn(codes, values)
    mean = beliefs.levels(codes).mean_C
    assert mean[3] == pytest.approx(mean[:3].mean(), abs=0.12)


def test_draws_are_seeded_and_have_the_posterior_moments():
    made, combinations, _, values = world(1)
    beliefs = Beliefs(2)
    codes = made.codes(combinations[:6])
    beliefs.learn(codes, values[:6, :30])
    levels = beliefs.levels(codes)
    one, two = (levels.draw(np.random.default_rng(5), 4000) for _ in range(2))
    assert (one == two).all()
    assert one.mean(0) == pytest.approx(levels.mean_C, abs=0.01)
    assert one.std(0) == pytest.approx(levels.sd_C, abs=0.01)


def test_before_anything_ran_the_prior_is_believed():
    made, combinations, _, _ = world(2)
    levels = Beliefs(2).levels(made.codes(combinations[:3]))
    assert levels.mean_C.tolist() == [0.5] * 3
    assert (levels.sd_C > 0.05).all()
