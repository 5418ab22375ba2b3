"""Candidates of another optimizer, run on all dev rows and put in order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from upturn.evaluate import CandidateRunner
from upturn.records import Candidate, Evaluation, Example
from upturn.search.beliefs import Floats
from upturn.search.finalists import Reported, cross_fitted
from upturn.search.order import units_of
from upturn.search.result import Finalist


def rescore(
    chosen: Sequence[tuple[str, Candidate]],
    *,
    searched: Sequence[Example],
    fresh: Sequence[Example],
    evaluator: CandidateRunner,
) -> list[Finalist]:
    """Runs the chosen on all dev rows; returns them best first, of equals the shorter prompt.

    Rows of the search's part that a finalist already ran cost nothing.

    Raises:
        OutageError, BudgetExceededError, MetricError: from the evaluator.
    """
    finalists = [
        Finalist(
            name=name,
            candidate=candidate,
            searched=evaluator.evaluate(candidate, searched),
            fresh=evaluator.evaluate(candidate, fresh),
        )
        for name, candidate in chosen
    ]
    return sorted(finalists, key=lambda f: (-f.pooled, f.candidate.prompt_chars, f.candidate.id))


def reported(finalists: Sequence[Finalist], fresh: Sequence[Example]) -> Reported:
    """The honest score of the best of them: fresh rows, cross-fitted (``search.finalists``).

    Args:
        finalists: rescored, who runs now among them.
        fresh: the rows of their ``fresh``, in order.
    """
    searched_ES = [_values(f.searched) for f in finalists]
    fresh_EF = np.array([_values(f.fresh) for f in finalists])

    def winner(seen_EF: Floats) -> int:
        pooled = [np.concatenate([a, b]) for a, b in zip(searched_ES, seen_EF, strict=True)]
        means = [-1.0 if np.isnan(p).all() else float(np.nanmean(p)) for p in pooled]
        keys = [(-m, f.candidate.prompt_chars) for m, f in zip(means, finalists, strict=True)]
        return min(range(len(keys)), key=lambda i: keys[i])

    return cross_fitted(fresh_EF, units_of(fresh), winner)


def _values(evaluation: Evaluation) -> Floats:
    return np.array([np.nan if r.value is None else r.value for r in evaluation.rows])
