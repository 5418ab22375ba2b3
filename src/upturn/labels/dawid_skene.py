"""Dawid-Skene: the truth and everybody's confusion matrix, estimated together from votes.

A. P. Dawid and A. M. Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM
Algorithm", Journal of the Royal Statistical Society C 28 (1979). It starts from the shares of
votes on each task. With ``prior=None`` it is the estimate of that paper; with pseudo-counts it is
the posterior mode under a Dirichlet prior, which keeps somebody with three votes near the prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upturn.errors import DataError
from upturn.labels.latent import Floats, Ints, Schedule, Votes, fit


@dataclass(frozen=True, kw_only=True)
class DawidSkene:
    """The estimate. T tasks, W raters, K labels; the last index is always what was seen or said.

    Attributes:
        posteriors: TK, probability of each label per task; rows sum to one.
        confusion: WKK, probability that a rater says a label (last axis), by true label.
        class_priors: K, share of each label.
        log_likelihood: of the votes, in nats.
        iterations: how many were made.
    """

    posteriors: Floats
    confusion: Floats
    class_priors: Floats
    log_likelihood: float
    iterations: int


def dawid_skene(
    task_V: Ints,
    rater_V: Ints,
    label_V: Ints,
    *,
    prior: tuple[float, float] | None = None,
    schedule: Schedule | None = None,
) -> DawidSkene:
    """Estimates labels and raters from V votes.

    Args:
        task_V, rater_V, label_V: one vote each; codes without gaps, from 0.
        prior: pseudo-counts of a right vote and of each wrong one; None for none.
        schedule: when to stop; 100 iterations or a change below 1e-6 by default.

    Raises:
        DataError: the arrays differ in length, or are empty.
    """
    if not len(task_V) or len({len(task_V), len(rater_V), len(label_V)}) != 1:
        sizes = f"{len(task_V)}, {len(rater_V)}, {len(label_V)}"
        raise DataError(f"votes must be three equally long arrays with a vote in them, got {sizes}")
    tasks, raters, labels = (int(a.max()) + 1 for a in (task_V, rater_V, label_V))
    votes = _votes(task_V, rater_V, label_V, prior, (tasks, raters, labels))
    seen_TK = np.bincount(task_V * labels + label_V, minlength=tasks * labels)
    shares_TK = seen_TK.reshape(tasks, labels) / np.bincount(task_V, minlength=tasks)[:, None]
    schedule = schedule or Schedule(iterations=100, tolerance=1e-6)
    found = fit(votes, schedule, start_H=shares_TK.ravel())
    assert found.class_prior is not None
    return DawidSkene(
        posteriors=found.posterior.reshape(tasks, labels),
        confusion=found.theta.reshape(raters, labels, labels),
        class_priors=found.class_prior,
        log_likelihood=found.log_likelihood,
        iterations=found.iterations,
    )


def _votes(
    task_V: Ints,
    rater_V: Ints,
    label_V: Ints,
    prior: tuple[float, float] | None,
    sizes: tuple[int, int, int],
) -> Votes:
    tasks, raters, labels = sizes
    truth_VK: NDArray[np.int64] = np.arange(labels)[None, :] + np.zeros_like(task_V)[:, None]
    cell_VK = (rater_V[:, None] * labels + truth_VK) * labels + label_V[:, None]
    right, wrong = prior or (0.0, 0.0)
    one_KK = np.where(np.eye(labels, dtype=bool), right, wrong)
    ones_P = np.ones(cell_VK.size)
    return Votes(
        item_of=np.repeat(np.arange(tasks), labels),
        hypothesis=(task_V[:, None] * labels + truth_VK).ravel(),
        cell=cell_VK.ravel(),
        weight=ones_P,
        count=ones_P,
        row_of=np.repeat(np.arange(raters * labels), labels),
        prior=np.tile(one_KK.ravel(), raters),
        class_of=np.tile(np.arange(labels), tasks),
    )
