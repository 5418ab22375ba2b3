"""Finalists run on dev rows they were not chosen on, before the holdout is looked at.

The best of many looks better than it is, so two things are kept apart. *The choice* among the few
finalists uses all rows, which is the better guess. *The score that is reported* comes from fresh
rows only, and by cross-fitting: the fresh rows are dealt into folds, the winner is chosen again
without each fold, and what the winner scored on the fold it was not chosen on is what counts. No
row both chooses and reports (cross-validated selection, without the bias that Tibshirani and
Tibshirani 2009 correct for, "A bias correction for the minimum error rate in cross-validation").

Who runs now keeps its place unless the best finalist is better with some confidence: a change that
is as likely to harm as to help is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from upturn.search.beliefs import Beliefs, Floats, Levels
from upturn.search.space import Space
from upturn.search.study import Arena, Entry, Study

FOLDS = 5
#: A finalist goes before who runs now if it is believed to be better with this probability. In
#: replays .8 ended worse than the start more often, .95 missed gains that small budgets show.
CONFIDENCE = 0.9
#: Two-sided 95 % of a normal distribution.
_Z = 1.96


@dataclass(frozen=True, kw_only=True)
class Reported:
    """The score that a search may report of what it chose.

    Attributes:
        score: mean over fresh rows, cross-fitted; None where no fresh row has a score.
        low, high: its 95 % interval, clustered by group.
        rows: fresh rows behind it.
    """

    score: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int = 0


@dataclass(frozen=True, kw_only=True)
class Final:
    """What the finalists showed.

    Attributes:
        entries: the finalists, best first; number 0, who runs now, is always among them.
        estimates: what each is believed to score, from all rows.
        fresh_EF: their scores on the fresh rows, NaN where unknown.
        reported: of the best, whichever it is.
    """

    entries: tuple[Entry, ...]
    estimates: tuple[float, ...]
    fresh_EF: Floats
    reported: Reported


def fresh_rows(budget: int, finalists: int, available: int) -> int:
    """Fresh rows that each finalist and the start candidate can run."""
    return min(available, budget // (finalists + 1))


def decide(study: Study, fresh: Arena, *, finalists: int, rows: int) -> Final:
    """Runs the most promising entries on fresh rows and puts them in order.

    Args:
        study: after its strategy has run.
        fresh: where the fresh rows are.
        finalists: how many, besides who runs now.
        rows: fresh rows that each runs.

    Raises:
        BudgetExceededError: a cap was reached.
    """
    chosen = _promising(study, finalists)
    work = [(e.choices, range(rows)) for e in chosen]
    fresh_EF = np.array(fresh.run(work)).reshape(len(chosen), rows)
    levels = _levels(study, chosen, fresh_EF)
    order, estimates = _ranked(study.space, chosen, levels), levels.mean_C
    return Final(
        entries=tuple(chosen[i] for i in order),
        estimates=tuple(float(estimates[i]) for i in order),
        fresh_EF=fresh_EF[order],
        reported=_report(study, chosen, fresh_EF, fresh.units[:rows]),
    )


def _promising(study: Study, n: int) -> list[Entry]:
    """The start candidate, and the best of those that nothing speaks against."""
    entries, levels = study.standing()
    order = _order(study.space, entries, levels.mean_C)
    able = [entries[i] for i in order if entries[i].number and not _out(entries[i], study)]
    return [study.entries[0], *able[:n]]


def _out(entry: Entry, study: Study) -> bool:
    return bool(study.arena.refusal(entry.choices))


def _order(space: Space, entries: Sequence[Entry], means: Floats) -> list[int]:
    """Best first; of equals the shorter prompt, then who entered first."""
    return sorted(
        range(len(entries)),
        key=lambda i: (
            -round(float(means[i]), 9),
            space.chars(entries[i].choices),
            entries[i].number,
        ),
    )


def _ranked(space: Space, chosen: Sequence[Entry], levels: Levels) -> list[int]:
    """As ``_order``, with who runs now first unless the best is better with some confidence."""
    order = _order(space, chosen, levels.mean_C)
    start = next(i for i, e in enumerate(chosen) if not e.number)
    ahead = order[: order.index(start)]
    if ahead and _chance(levels, ahead[0], start) >= CONFIDENCE:
        return order
    return [start, *(i for i in order if i != start)]


def _chance(levels: Levels, one: int, other: int) -> float:
    """Probability that one level is above another."""
    cov_CC = levels.cov_CC
    variance = cov_CC[one, one] + cov_CC[other, other] - 2 * cov_CC[one, other]
    gap = levels.mean_C[one] - levels.mean_C[other]
    return float(norm.cdf(gap / np.sqrt(max(variance, 1e-12))))


def _levels(study: Study, chosen: Sequence[Entry], fresh_EF: Floats) -> Levels:
    """What is believed of the chosen, all rows of all entries taken together."""
    fresh = {e.number: row for e, row in zip(chosen, fresh_EF, strict=True)}
    none = np.full(fresh_EF.shape[1], np.nan)
    entries = [e for e in study.entries if e.known]
    values = np.array([[*e.values_R, *fresh.get(e.number, none)] for e in entries])
    beliefs = Beliefs(len(study.space.options))
    beliefs.variances = study.beliefs.variances
    beliefs.learn(study.space.codes([e.choices for e in entries]), values)
    return beliefs.levels(study.space.codes([e.choices for e in chosen]))


def _report(
    study: Study, chosen: Sequence[Entry], fresh_EF: Floats, units_F: NDArray[np.int64]
) -> Reported:
    def winner(seen_EF: Floats) -> int:
        return _ranked(study.space, chosen, _levels(study, chosen, seen_EF))[0]

    return cross_fitted(fresh_EF, units_F, winner)


def cross_fitted(
    fresh_EF: Floats, units_F: NDArray[np.int64], winner: Callable[[Floats], int]
) -> Reported:
    """Returns what whoever is chosen scores on fresh rows that had no part in the choice.

    Args:
        fresh_EF: the finalists' scores on the fresh rows, NaN where unknown.
        units_F: the rows' groups, numbered.
        winner: fresh scores, those of one fold taken out -> which finalist is chosen.
    """
    held_F = np.full(fresh_EF.shape[1], np.nan)
    for fold in range(FOLDS):
        out_F = units_F % FOLDS == fold
        if out_F.any():
            held_F[out_F] = fresh_EF[winner(np.where(out_F, np.nan, fresh_EF)), out_F]
    return _interval(held_F, units_F)


def _interval(held_F: Floats, units_F: NDArray[np.int64]) -> Reported:
    known_F = ~np.isnan(held_F)
    n = int(known_F.sum())
    if not n:
        return Reported()
    score = float(held_F[known_F].mean())
    # Sums of deviations within groups: the cluster-robust variance of a mean.
    sums_U = np.bincount(units_F[known_F], weights=held_F[known_F] - score)
    groups = len(np.unique(units_F[known_F]))
    error = float(np.sqrt((sums_U**2).sum() * groups / max(1, groups - 1))) / n
    low, high = max(0.0, score - _Z * error), min(1.0, score + _Z * error)
    return Reported(score=score, low=low, high=high, rows=n)
