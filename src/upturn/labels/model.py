"""What is right and who is reliable, estimated together from one table of votes.

Every hypothesis about an item is as probable as the others before anybody speaks. Taking the share
of right answers instead would make labels favour whatever the program says.

Nobody is believed in reverse: a source that errs more often than chance tells nothing, or else an
attacker who lies often enough could say the opposite of what they want.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from upturn.labels.latent import Floats, Schedule, believe, fit, without_own
from upturn.labels.table import Flags, Table

SCHEDULE = Schedule(iterations=30, tolerance=1e-3)
DECIDED = 0.51  # more probable than not, by more than rounding


@dataclass(frozen=True, kw_only=True)
class Model:
    """What was estimated from one choice of votes.

    Attributes:
        weight: N, how much each reading counted.
        theta: C, the sources, in the order of the table's cells.
        posterior: H, the probability of every hypothesis.
    """

    weight: Floats
    theta: Floats
    posterior: Floats


def fit_model(table: Table, weight_N: Floats) -> Model:
    """Estimates the sources; each starts at, and without comparable votes keeps, its prior.

    Args:
        table: all readings.
        weight_N: how much each counts; 0 leaves it out.
    """
    paired = np.asarray(table.sources.paired, dtype=np.int64)
    rows = np.arange(len(table.sources.priors))
    single = np.setdiff1d(rows, np.concatenate([paired, paired + 1]))

    def not_in_reverse(theta_C: Floats) -> Floats:
        agree_R = theta_C[0::2].copy()
        agree_R[single] = np.maximum(agree_R[single], 0.5)
        lack = np.maximum(1.0 - agree_R[paired] - agree_R[paired + 1], 0.0) / 2
        agree_R[paired] += lack
        agree_R[paired + 1] += lack
        return np.column_stack([agree_R, 1.0 - agree_R]).ravel()

    votes = table.votes(weight_N)
    found = fit(votes, SCHEDULE, constrain=not_in_reverse)
    return Model(
        weight=weight_N,
        theta=found.theta,
        posterior=believe(votes, found.theta),
    )


def news(table: Table, model: Model) -> Floats:
    """Returns how much each reading (N) tells: the log of how much more probable it is where it
    holds than where it does not; 0 for nothing."""
    agree_R = np.log(np.maximum(model.theta[0::2], 1e-300))
    differ_R = np.log(np.maximum(model.theta[1::2], 1e-300))
    right_N, wrong_N = table.first_row, table.first_row + table.two_rows
    agree_N = agree_R[np.where(table.down, wrong_N, right_N)]
    differ_N = differ_R[np.where(table.down, right_N, wrong_N)]
    return model.weight * (agree_N - differ_N)


@dataclass(frozen=True, kw_only=True)
class Others:
    """What all others make of each reading (N): leave-one-out; nothing of those that do not count.

    Attributes:
        decided: whether there are others, and they make one hypothesis more probable than not.
        agrees: whether that hypothesis is one that the reading holds for.
        right: whether it is that the answer is right.
    """

    decided: Flags
    agrees: Flags
    right: Flags


def others(table: Table, model: Model) -> Others:
    """Compares every reading that counts with what the others make of its item."""
    flags = {n: np.zeros(len(table.item), dtype=bool) for n in ("decided", "agrees", "right")}
    keep = np.flatnonzero(model.weight > 0)
    if len(keep):
        votes = table.votes(model.weight)
        cavity_P, others_P = without_own(votes, model.theta)
        first_H = np.diff(votes.item_of, prepend=-1) > 0
        starts = np.flatnonzero(first_H[votes.hypothesis])
        top_V = np.maximum.reduceat(cavity_P, starts)
        holding_V = np.maximum.reduceat(cavity_P * (votes.cell % 2 == 0), starts)
        flags["decided"][keep] = others_P[starts] & (top_V > DECIDED)
        flags["agrees"][keep] = holding_V >= top_V
        flags["right"][keep] = cavity_P[starts] >= top_V
    return Others(**flags)
