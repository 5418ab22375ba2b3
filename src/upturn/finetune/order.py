"""The order in which rows are trained on: by confidence, shuffled, and with little padding.

A row of weight w is used n * w / sum(w) times in an epoch of n samples, rounded down or up, and as
often on the average: systematic resampling (Kitagawa, "Monte Carlo filter and smoother", 1996).
The starts of the epochs are spread evenly, so that the rounding holds for all epochs together, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from upturn.finetune.encode import length
from upturn.finetune.records import TrainingRow
from upturn.finetune.spec import JobSpec, OptimSpec

#: Batches that are sorted by length together: padding nearly goes, and the order stays random.
_BUCKET = 16
_STREAM = 0x0D0E  # keeps these draws apart from others that are made from the same seed


def samples_per_step(optim: OptimSpec, *, processes: int = 1) -> int:
    """Returns the rows behind one optimizer step, over all processes."""
    return optim.per_device_train_batch_size * optim.gradient_accumulation_steps * processes


def total_steps(n_rows: int, spec: JobSpec, *, batch: int) -> int:
    """Returns the optimizer steps of a job: ``max_steps``, or what the epochs come to, rounded up.

    Every step is a full one: the last begins another epoch where rows are missing.

    Args:
        n_rows: rows that are trained on.
        spec: for epochs and steps.
        batch: samples of one step; see :func:`samples_per_step`.
    """
    optim = spec.optim
    if optim.max_steps is not None:
        return optim.max_steps
    return max(1, math.ceil(n_rows * optim.num_train_epochs / batch - 1e-9))


def order(rows: Sequence[TrainingRow], spec: JobSpec, *, batch: int) -> list[int]:
    """Returns the row of every training sample, in order, over all epochs.

    Depends on weights, lengths, ``batch`` and the seed alone; so halving the batch of a device and
    doubling the accumulation changes nothing.

    Args:
        rows: with weights in (0, 1].
        spec: for seed, epochs and steps.
        batch: samples of one optimizer step, over all devices and accumulation steps.

    Returns:
        ``steps * batch`` positions in ``rows``.
    """
    samples = total_steps(len(rows), spec, batch=batch) * batch
    rng = np.random.default_rng([spec.seed, _STREAM])
    samples_S = _resampled(np.array([row.weight for row in rows]), samples, rng)
    lengths_S = np.array([length(row) for row in rows])[samples_S]
    return samples_S[_bucketed(lengths_S, batch, rng)].tolist()


def _resampled(
    weights_N: NDArray[np.float64], samples: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Returns the rows of all epochs, each epoch shuffled; the last one may be a part of one."""
    n = len(weights_N)
    epochs = math.ceil(samples / n)
    shuffled_N = rng.permutation(n)
    ends_N = np.cumsum(weights_N[shuffled_N])
    ends_N = ends_N * (n / ends_N[-1])
    start = rng.random()
    made: list[NDArray[np.int64]] = []
    # In a random order: the last epoch, which may be cut, must not always have the same start.
    for epoch in rng.permutation(epochs):
        points_N = np.arange(n) + (start + epoch / epochs) % 1.0
        chosen_N = np.minimum(np.searchsorted(ends_N, points_N, side="right"), n - 1)
        made.append(rng.permutation(shuffled_N[chosen_N]))
    return np.concatenate(made)[:samples]


def _bucketed(
    lengths_S: NDArray[np.int64], batch: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Returns places such that a batch holds rows of about one length; batches stay shuffled."""
    made: list[NDArray[np.int64]] = []
    size = _BUCKET * batch
    for at in range(0, len(lengths_S), size):
        by_length = at + np.argsort(lengths_S[at : at + size], kind="stable")
        batches = by_length.reshape(-1, batch)
        made.append(batches[rng.permutation(len(batches))].reshape(-1))
    return np.concatenate(made)
