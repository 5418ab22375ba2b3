"""Expectation-maximisation over sparse votes: which hypothesis about each item is true.

Every item has a handful of hypotheses, one of which is true. A vote of a source is a draw from a
categorical distribution of that source (a *row* of *cells*) that depends on the hypothesis, so a
vote and a hypothesis of its item together name one cell. Dawid-Skene and the model behind the
labels are both such problems; they differ in what their cells mean.

With ``group`` the sources are judged by leave-one-out: a vote is compared with what the *others*
make of its item, and not at all where there are no others. A source that is alone keeps its prior,
instead of agreeing with itself. (Without it, this is plain EM, and the likelihood never falls.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.signedinteger]
_TINY = 1e-300


@dataclass(frozen=True, kw_only=True)
class Votes:
    """One problem. H hypotheses, P pairs of a vote and a hypothesis of its item, C cells, R rows.

    Attributes:
        item_of: H, the item of each hypothesis, ascending and without gaps, from 0.
        hypothesis, cell: P, what each pair speaks of, and the cell it draws from. Pairs of one
            vote are neighbours, in the order of the item's hypotheses.
        weight: P, how much a pair counts for its hypothesis; count: P, and for its source.
        row_of: C, the row of each cell, ascending; prior: C, pseudo-counts of each cell.
        shift: P, added to the log-likelihood of each pair; None for nothing.
        log_prior: H, log-probability of each hypothesis up to a constant per item; None for equal.
        possible: H, which hypotheses may be true, one of each item at least; None for all.
        group: P, whose vote it is, for leave-one-out; None for plain EM.
        class_of: H, class of each hypothesis, where the shares of classes are estimated as well.
    """

    item_of: Ints
    hypothesis: Ints
    cell: Ints
    weight: Floats
    count: Floats
    row_of: Ints
    prior: Floats
    shift: Floats | None = None
    log_prior: Floats | None = None
    possible: NDArray[np.bool_] | None = None
    group: Ints | None = None
    class_of: Ints | None = None


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What was estimated: posteriors (H), the sources' distributions (C), and how it went."""

    posterior: Floats
    theta: Floats
    class_prior: Floats | None
    log_likelihood: float
    iterations: int


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When to stop: after ``iterations``, or when no posterior moves by ``tolerance`` any more.

    ``floor`` is the least pseudo-count of a cell that votes fell into.
    """

    iterations: int = 50
    tolerance: float | None = 1e-4
    floor: float = 1e-10


def fit(
    votes: Votes,
    schedule: Schedule,
    *,
    start_H: Floats | None = None,
    constrain: Callable[[Floats], Floats] | None = None,
) -> Fit:
    """Alternates between what is true and whom to believe.

    Args:
        votes: the problem.
        schedule: when to stop.
        start_H: first posteriors; where None, the sources start at their priors.
        constrain: maps the cells to cells that are allowed, after each estimate.
    """
    work = _Work(votes, schedule.floor, constrain or (lambda theta_C: theta_C))
    theta_C = constrain(work.normal(votes.prior)) if constrain else work.normal(votes.prior)
    share = work.uniform_classes()
    if start_H is not None:
        share, theta_C = work.classes(start_H), work.estimate(start_H, theta_C)
    posterior_H, likelihood = work.believe(theta_C, share)
    done = 0
    while done < schedule.iterations:
        before_H = posterior_H
        if done:
            posterior_H, likelihood = work.believe(theta_C, share)
        share, theta_C = work.classes(posterior_H), work.estimate(posterior_H, theta_C)
        done += 1
        moved = np.abs(posterior_H - before_H).max(initial=0.0) if done > 1 else np.inf
        if schedule.tolerance is not None and moved < schedule.tolerance:
            break
    return Fit(
        posterior=posterior_H,
        theta=theta_C,
        class_prior=share,
        log_likelihood=likelihood,
        iterations=done,
    )


def believe(votes: Votes, theta_C: Floats) -> Floats:
    """Returns the posteriors H that given sources imply, all hypotheses being equal before."""
    return _Work(votes, 0.0, lambda cells: cells).believe(theta_C, None)[0]


def without_own(votes: Votes, theta_C: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Returns, per pair, what the others make of its hypothesis, and whether there are others."""
    work = _Work(votes, 0.0, lambda cells: cells)
    return work.cavity(theta_C), work.others_P


def _sums(index: Ints, weights: Floats, size: int) -> Floats:
    return np.asarray(np.bincount(index, weights=weights, minlength=size), dtype=np.float64)


class _Work:
    """The sums of one problem, with the indices that every iteration needs."""

    def __init__(self, votes: Votes, floor: float, constrain: Callable[[Floats], Floats]) -> None:
        self._v = votes
        self._constrain = constrain
        item_H = votes.item_of
        self._starts = np.flatnonzero(np.diff(item_H, prepend=-1))
        # No mask at all where all are possible: an empty index changes nothing.
        none = np.zeros(0, dtype=np.int64)
        self._impossible_H = none if votes.possible is None else np.flatnonzero(~votes.possible)
        self._first_H = np.diff(item_H, prepend=-1) > 0
        self._rows = int(votes.row_of[-1]) + 1 if len(votes.row_of) else 0
        self._cells = len(votes.prior)
        used_C = np.bincount(votes.cell, minlength=self._cells) > 0
        self._floor_C = np.where(used_C, floor, 0.0)
        self.others_P = np.ones(len(votes.cell), dtype=bool)
        if votes.group is not None:
            self._index_groups(votes.group)

    def _index_groups(self, group_P: Ints) -> None:
        """A group's pairs that share a hypothesis are left out together."""
        hypotheses = len(self._v.item_of)
        keys, self._own_P = np.unique(
            group_P.astype(np.int64) * max(hypotheses, 1) + self._v.hypothesis,
            return_inverse=True,
        )
        self._own_P = self._own_P.astype(np.int32)
        self._owns = len(keys)
        # Every group votes on all hypotheses of an item, so counting one of them is enough.
        groups_H = np.bincount(keys % max(hypotheses, 1), minlength=hypotheses)
        self.others_P = groups_H[self._v.hypothesis] > 1

    def uniform_classes(self) -> Floats | None:
        if self._v.class_of is None:
            return None
        classes = int(self._v.class_of.max(initial=0)) + 1
        return np.full(classes, 1.0 / classes)

    def classes(self, posterior_H: Floats) -> Floats | None:
        """Returns the share of each class."""
        if self._v.class_of is None:
            return None
        share = np.bincount(self._v.class_of, weights=posterior_H)
        return share / share.sum()

    def normal(self, counts_C: Floats) -> Floats:
        """Returns rows that sum to one."""
        counts_C = np.maximum(counts_C, self._floor_C)
        sums_R = _sums(self._v.row_of, counts_C, self._rows)
        return counts_C / np.maximum(sums_R[self._v.row_of], _TINY)

    def _says(self, theta_C: Floats) -> Floats:
        log_C = np.log(np.maximum(theta_C, _TINY))
        said_P = log_C[self._v.cell]
        if self._v.shift is not None:
            said_P = said_P + self._v.shift
        return self._v.weight * said_P

    def _logits(self, says_P: Floats, share: Floats | None) -> Floats:
        size = len(self._v.item_of)
        logits_H = _sums(self._v.hypothesis, says_P, size)
        if self._v.log_prior is not None:
            logits_H = logits_H + self._v.log_prior
        logits_H[self._impossible_H] = -np.inf
        if share is not None and self._v.class_of is not None:
            logits_H = logits_H + np.log(np.maximum(share, 1e-10))[self._v.class_of]
        return logits_H

    def believe(self, theta_C: Floats, share: Floats | None) -> tuple[Floats, float]:
        """Returns the posteriors, and the log-likelihood of the votes."""
        if not len(self._v.item_of):
            return np.zeros(0), 0.0
        logits_H = self._logits(self._says(theta_C), share)
        top_I = np.maximum.reduceat(logits_H, self._starts)
        odds_H = np.exp(logits_H - top_I[self._v.item_of])
        sums_I = np.add.reduceat(odds_H, self._starts)
        return odds_H / sums_I[self._v.item_of], float((np.log(sums_I) + top_I).sum())

    def cavity(self, theta_C: Floats) -> Floats:
        """Returns, per pair, what the other groups' votes make of its hypothesis.

        All hypotheses are equal before: that a value was named by nobody else is no news about
        who named it.
        """
        says_P = self._says(theta_C)
        own = _sums(self._own_P, says_P, self._owns)
        size = len(self._v.item_of)
        said_H = _sums(self._v.hypothesis, says_P, size)
        said_H[self._impossible_H] = -np.inf
        left_P = said_H[self._v.hypothesis] - own[self._own_P]
        if not len(left_P):
            return left_P
        first_P = self._first_H[self._v.hypothesis]
        starts, vote_P = np.flatnonzero(first_P), np.cumsum(first_P) - 1
        odds_P = np.exp(left_P - np.maximum.reduceat(left_P, starts)[vote_P])
        return odds_P / np.add.reduceat(odds_P, starts)[vote_P]

    def estimate(self, posterior_H: Floats, theta_C: Floats) -> Floats:
        """Returns the sources' distributions, given what is believed."""
        v, alone = self._v, self._v.group is None
        q_P = posterior_H[v.hypothesis] if alone else self.cavity(theta_C) * self.others_P
        counts_C = _sums(v.cell, q_P * v.count, self._cells)
        return self._constrain(self.normal(counts_C + v.prior))
