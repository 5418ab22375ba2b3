"""The order of training: as often as sure, every epoch, the same again, with little padding."""

from __future__ import annotations

from collections import Counter
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upturn.finetune.order import order, samples_per_step, total_steps
from upturn.finetune.records import TrainingRow
from upturn.finetune.spec import JobSpec, OptimSpec


def rows(weights, lengths=None):
    lengths = lengths or [5] * len(weights)
    return [
        TrainingRow(id=str(i), prompt_ids=(1,) * n, completion_ids=(2, 3), weight=w)
        for i, (w, n) in enumerate(zip(weights, lengths, strict=True))
    ]


def spec(seed=0, **optim):
    return JobSpec(name="j", kind="sft", seed=seed, optim=OptimSpec(**optim))


@given(
    st.lists(st.floats(0.05, 1.0), min_size=1, max_size=40),
    st.integers(1, 4),
    st.integers(0, 5),
)
def test_uses_are_proportional_to_weights_within_one(weights, epochs, seed):
    samples = order(rows(weights), spec(seed, num_train_epochs=epochs), batch=1)
    used = Counter(samples)
    assert len(samples) == len(weights) * epochs
    for i, w in enumerate(weights):
        expected = len(samples) * w / sum(weights)
        assert floor(expected - 1e-6) <= used[i] <= ceil(expected + 1e-6)


def test_every_epoch_is_rounded_on_its_own():
    weights = [0.3, 0.5, 0.6, 0.9, 1.0, 1.0, 0.2, 0.7]
    # One batch a bucket would mix epochs; a batch of an epoch keeps them apart.
    made = order(rows(weights), spec(num_train_epochs=6), batch=8)
    by_epoch = [Counter(made[i : i + 8]) for i in range(0, 48, 8)]
    for i, w in enumerate(weights):
        expected = 8 * w / sum(weights)
        assert all(floor(expected) <= used[i] <= ceil(expected) for used in by_epoch), (i, w)


def test_expected_uses_are_proportional_to_weights():
    """Over 4,000 seeds the mean of each row is within 5 standard errors of what it should be."""
    weights = np.array([0.31, 0.5, 0.62, 0.97, 0.88, 0.45, 0.77])
    n, seeds = len(weights), 4000
    for optim in ({"num_train_epochs": 1.0}, {"max_steps": 4}):
        uses = np.zeros((seeds, n))
        for seed in range(seeds):
            made = order(rows(weights), spec(seed, **optim), batch=1)
            uses[seed] = np.bincount(made, minlength=n)
        expected = len(made) * weights / weights.sum()
        error = np.maximum(uses.std(axis=0, ddof=1), 1e-9) / np.sqrt(seeds)
        assert np.all(np.abs(uses.mean(axis=0) - expected) < 5 * error), uses.mean(axis=0)


def test_equal_weights_use_every_row_once_an_epoch():
    made = order(rows([0.6] * 10), spec(num_train_epochs=3), batch=5)
    assert Counter(made) == dict.fromkeys(range(10), 3)
    assert made[:10] != sorted(made[:10])


def test_the_same_again_and_another_seed_is_another_order():
    given_rows = rows(list(np.linspace(0.2, 1, 60)), [3 + i % 7 for i in range(60)])
    first = order(given_rows, spec(1), batch=4)
    assert first == order(given_rows, spec(1), batch=4)
    assert first != order(given_rows, spec(2), batch=4)


def test_batches_hold_rows_of_about_one_length():
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 900, 640).tolist()
    made = order(rows([1.0] * 640, lengths), spec(num_train_epochs=2), batch=16)

    def padding(samples):
        cells = [max(lengths[i] for i in b) * 16 for b in batched(samples)]
        return 1 - sum(lengths[i] for i in samples) / sum(cells)

    assert padding(made) < 0.08
    assert padding(rng.permutation(made).tolist()) > 0.4
    # Batches themselves stay shuffled: no drift from short to long.
    means = [np.mean([lengths[i] for i in b]) for b in batched(made)]
    assert abs(np.corrcoef(range(len(means)), means)[0, 1]) < 0.3


def batched(samples, size=16):
    return [samples[i : i + size] for i in range(0, len(samples), size)]


@pytest.mark.parametrize(
    ("n", "optim", "batch", "steps"),
    [
        (100, {"num_train_epochs": 3}, 16, 19),
        (96, {"num_train_epochs": 3}, 16, 18),
        (3, {"num_train_epochs": 0.1}, 16, 1),
        (10, {"num_train_epochs": 0.3}, 1, 3),
        (100, {"num_train_epochs": 3, "max_steps": 7}, 16, 7),
    ],
)
def test_steps_are_full(n, optim, batch, steps):
    made = spec(**optim)
    assert total_steps(n, made, batch=batch) == steps
    assert len(order(rows([1.0] * n), made, batch=batch)) == steps * batch


def test_the_order_knows_the_step_and_not_the_device():
    one = OptimSpec(per_device_train_batch_size=8, gradient_accumulation_steps=1)
    half = OptimSpec(per_device_train_batch_size=4, gradient_accumulation_steps=2)
    assert samples_per_step(one) == samples_per_step(half) == 8
    assert samples_per_step(half, processes=2) == 16
