"""Dawid-Skene against the reference library, and what priors change."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from upturn.errors import DataError
from upturn.labels import dawid_skene
from upturn.labels.latent import Schedule, fit
from upturn.labels.model import SCHEDULE
from upturn.labels.table import build

TASKS, RATERS, LABELS = 200, 15, 4


def votes(seed: int, per_task: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Tasks, raters, labels of votes, and the truth by task."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(LABELS, size=TASKS)
    skill = rng.uniform(0.3, 0.95, size=RATERS)
    task = np.repeat(np.arange(TASKS), per_task)
    rater = np.concatenate([rng.choice(RATERS, per_task, replace=False) for _ in range(TASKS)])
    right = rng.random(len(task)) < skill[rater]
    label = np.where(right, truth[task], rng.integers(LABELS, size=len(task)))
    return task, rater, label, truth


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("iterations", [1, 10, 60])
def test_without_priors_it_agrees_with_crowd_kit(seed: int, iterations: int):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reference's own, of its libraries
        import pandas as pd
        from crowdkit.aggregation import DawidSkene

        task, rater, label, _ = votes(seed)
        data = pd.DataFrame({"task": task, "worker": rater, "label": label})
        want = DawidSkene(n_iter=iterations, tol=-np.inf).fit(data)
    got = dawid_skene(task, rater, label, schedule=Schedule(iterations=iterations, tolerance=None))
    assert got.iterations == iterations
    posteriors = want.probas_.sort_index().sort_index(axis=1).to_numpy()
    assert np.abs(posteriors - got.posteriors).max() < 1e-6
    assert np.abs(want.priors_.sort_index().to_numpy() - got.class_priors).max() < 1e-6
    for (worker, said), row in want.errors_.iterrows():
        for true, value in row.items():
            assert abs(value - got.confusion[worker, true, said]) < 1e-6


def test_the_likelihood_never_falls_and_the_search_stops():
    task, rater, label, _ = votes(7)
    runs = [
        dawid_skene(task, rater, label, schedule=Schedule(iterations=n, tolerance=None))
        for n in range(1, 25)
    ]
    assert np.all(np.diff([r.log_likelihood for r in runs]) > -1e-9)
    done = dawid_skene(task, rater, label)
    assert done.iterations < 100
    assert done.posteriors.sum(axis=1) == pytest.approx(np.ones(TASKS))


def test_it_beats_the_majority_where_skill_differs():
    hits, by_majority = 0, 0
    for seed in range(5):
        task, rater, label, truth = votes(seed)
        counts = np.zeros((TASKS, LABELS))
        np.add.at(counts, (task, label), 1)
        by_majority += int((counts.argmax(axis=1) == truth).sum())
        hits += int((dawid_skene(task, rater, label).posteriors.argmax(axis=1) == truth).sum())
    assert hits > by_majority + 5


def test_a_prior_keeps_a_rater_with_few_votes_near_it():
    task, rater, label, _ = votes(1)
    alone = np.array([0]), np.array([RATERS]), np.array([int(label[0])])
    args = [np.concatenate(pair) for pair in zip((task, rater, label), alone, strict=True)]
    bare = dawid_skene(*args).confusion[RATERS]
    kept = dawid_skene(*args, prior=(8.0, 1.0)).confusion[RATERS]
    assert bare.max() == pytest.approx(1.0)
    assert np.diag(kept) == pytest.approx([8 / 11] * LABELS, abs=0.03)


def test_no_votes_and_uneven_votes_are_errors():
    one, none = np.array([0]), np.array([], dtype=np.int64)
    with pytest.raises(DataError, match="got 0, 0, 0"):
        dawid_skene(none, none, none)
    with pytest.raises(DataError, match="got 1, 1, 2"):
        dawid_skene(one, one, np.array([0, 1]))


def test_no_readings_are_no_problem():
    table = build([])
    found = fit(table.votes(np.zeros(0)), SCHEDULE)
    assert found.posterior.shape == found.theta.shape == (0,)
