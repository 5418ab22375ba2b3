"""Races: the sign test is exact, and pairing estimates what was not run."""

import numpy as np
import pytest
from scipy.stats import binomtest

from upturn.records import Evaluation, Outcome, Row
from upturn.search.race import paired_estimate, sign_test, wins


def rows(values):
    return tuple(
        Row(
            example_id=str(i),
            group=str(i),
            outcome=Outcome.UNSCORED if v is None else Outcome.SCORED,
            score=v,
        )
        for i, v in enumerate(values)
    )


def evaluation(values):
    return Evaluation(candidate_id="x", rows=rows(values))


@pytest.mark.parametrize(("better", "worse"), [(0, 0), (3, 3), (0, 5), (2, 9), (9, 2)])
def test_the_sign_test_is_the_exact_binomial(better, worse):
    n = better + worse
    expected = binomtest(worse, n, 0.5, alternative="greater").pvalue if n else 1.0
    assert sign_test(better, worse) == pytest.approx(expected)


def test_wins_are_counted_where_both_are_known():
    assert wins(rows([1.0, 0.0, None, 0.5]), rows([0.0, 1.0, 1.0, 0.5])) == (1, 1)


def test_the_estimate_uses_the_incumbents_score_on_unseen_rows():
    incumbent = evaluation([1.0, 1.0, 0.0, 0.0])  # .5 on all rows, 1.0 on the two seen
    assert paired_estimate(incumbent, evaluation([1.0, 0.0])) == pytest.approx(0.0)
    assert paired_estimate(incumbent, evaluation([1.0, 1.0])) == pytest.approx(0.5)
    assert paired_estimate(incumbent, evaluation([None])) is None


def test_pairing_beats_the_raw_mean_as_an_estimate():
    rng = np.random.default_rng(0)
    raw, paired = [], []
    for _ in range(300):
        hard = rng.random(200)
        champion = (rng.random(200) < hard).astype(float)
        flip = rng.random(200) < 0.1
        other = np.where(flip, 1 - champion, champion)
        truth = other.mean()
        part = evaluation(other[:40].tolist())
        raw.append(part.score - truth)
        paired.append(paired_estimate(evaluation(champion.tolist()), part) - truth)
    assert np.std(paired) < 0.7 * np.std(raw)
    assert abs(np.mean(paired)) < 0.01
