"""A model that answers differently each time: each row is run several times on each side.

The score of a row is the mean over its runs; a run that failed by its own fault counts 0. Two
components of variance follow by the method of moments, as in a one-way analysis of variance with
random rows (Searle, Casella and McCulloch 1992, "Variance components", section 3.6): ``within`` is
the mean over rows of the variance of their k runs, and ``between`` is the variance of the rows'
means less ``within / k``, at least 0. Of the difference of two sides that run on their own,
``within`` is the sum of both. The mean over n rows then has the variance
``(between + within / k) / n``.

Twice the rows always help at least as much as twice the replicates, and cost as many calls; but
rows of a holdout must come from production first. Where a fresh row is worth r calls and a
replicate of it costs c calls, the same calls tell most with ``k = sqrt(within / between * r / c)``
runs a row (Cochran 1977, "Sampling techniques", section 10.6).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from upturn.gate.pairing import Compared
from upturn.gate.report import Noise
from upturn.records import Evaluation, Outcome, Row

#: The most replicates that are ever called best: where rows hardly differ, the formula has no end.
MOST_REPLICATES = 64


def combine(runs: Sequence[Evaluation], *, is_champion: bool) -> Evaluation:
    """Returns one row for each example: the mean of its runs.

    What is not known counts against the challenger, as it does between rows: a run of the champion
    without a score leaves the row without one, and one of the challenger counts 0. A run that the
    world failed (outage, budget) makes the row lost.

    Args:
        runs: evaluations of one candidate on the same rows in the same order, at least one.
        is_champion: whose they are.

    Returns:
        An evaluation under the first one's candidate id. Latency and cost of a row are the mean of
        its runs, which is what production will see; calls and tokens are their sum.
    """
    if len(runs) == 1:
        return runs[0]
    rows = zip(*(r.rows for r in runs), strict=True)
    return replace(runs[0], rows=tuple(_mean(own, is_champion=is_champion) for own in rows))


def every_run(evaluation: Evaluation) -> Evaluation:
    """Returns an evaluation with a row for each run, numbered from 1: for what is counted or timed
    run by run. Without replicates it is the same."""
    if not any(row.runs for row in evaluation.rows):
        return evaluation
    rows: list[Row] = []
    for row in evaluation.rows:
        # All are numbered: what follows the last # then tells runs apart, whatever ids hold.
        runs = enumerate(row.runs or (row,), start=1)
        rows += [replace(r, example_id=f"{r.example_id}#{k}") for k, r in runs]
    return replace(evaluation, rows=tuple(rows))


def noise_of(compared: Sequence[Compared], *, row_cost_calls: float) -> Noise | None:
    """Returns the components of variance of both sides and of their difference.

    Args:
        compared: rows of both sides.
        row_cost_calls: what a fresh row is worth, in model calls.

    Returns:
        None where rows were run once, or fewer than two of them on both sides several times.
    """
    twice = [c for c in compared if min(len(c.baseline_row.runs), len(c.challenger_row.runs)) > 1]
    if len(twice) < 2:
        return None
    k, n = len(twice[0].baseline_row.runs), len(twice)
    before_EK = _scores([c.baseline_row for c in twice])
    after_EK = _scores([c.challenger_row for c in twice])
    first, second = _within(before_EK), _within(after_EK)
    within = first + second
    between = _between(after_EK.mean(axis=1) - before_EK.mean(axis=1), within / k)
    calls = _calls_of_a_run(twice, k)
    return Noise(
        replicates=k,
        baseline_between=_between(before_EK.mean(axis=1), first / k),
        baseline_within=first,
        challenger_between=_between(after_EK.mean(axis=1), second / k),
        challenger_within=second,
        between=between,
        within=within,
        error=_error(between, within, n, k),
        error_twice_rows=_error(between, within, 2 * n, k),
        error_twice_replicates=_error(between, within, n, 2 * k),
        best_replicates=best_replicates(
            between=between, within=within, row_cost=row_cost_calls, replicate_cost=calls
        ),
        row_cost_calls=row_cost_calls,
    )


def best_replicates(
    *, between: float, within: float, row_cost: float, replicate_cost: float
) -> int:
    """Returns the runs of each row that make the most of a number of calls.

    ``sqrt(within / between * row_cost / replicate_cost)``, rounded to the better neighbour, from 1
    to ``MOST_REPLICATES``.

    Args:
        between, within: components of variance of the difference.
        row_cost: what a fresh row is worth, in calls, beside those that run it.
        replicate_cost: calls of one replicate of a row on both sides, > 0.
    """
    if within <= 0 or row_cost <= 0:
        return 1
    if between <= 0:
        return MOST_REPLICATES
    ideal = math.sqrt(within / between * row_cost / replicate_cost)
    low = min(max(math.floor(ideal), 1), MOST_REPLICATES)
    both = (low, min(low + 1, MOST_REPLICATES))
    # The variance that a given number of calls leads to is proportional to this product.
    return min(both, key=lambda k: (between + within / k) * (row_cost + replicate_cost * k))


def _mean(runs: Sequence[Row], *, is_champion: bool) -> Row:
    made = replace(
        _outcome(runs, is_champion=is_champion),
        latency_s=fmean(r.latency_s for r in runs),
        cost_usd=fmean(r.cost_usd for r in runs),
        input_tokens=sum(r.input_tokens for r in runs),
        output_tokens=sum(r.output_tokens for r in runs),
        calls=sum(r.calls for r in runs),
        cached_calls=sum(r.cached_calls for r in runs),
    )
    return replace(made, runs=tuple(runs))


def _outcome(runs: Sequence[Row], *, is_champion: bool) -> Row:
    """The row that says how the runs ended, with their mean score where they have one."""
    lost = next((r for r in runs if r.failure is not None and r.value is None), None)
    if lost is not None:
        return lost
    unscored = [r for r in runs if r.value is None]
    if unscored and (is_champion or len(unscored) == len(runs)):
        return unscored[0]
    answered = [r for r in runs if r.outcome is Outcome.SCORED]
    if not answered:
        # A challenger with a failed run and an unscored one is worth 0 by either.
        return next(r for r in runs if r.outcome is Outcome.FAILED)
    # A part that only some answers have, such as a person's score, is not 0 in the others.
    names = sorted(set(answered[0].parts).intersection(*(r.parts for r in answered)))
    parts = {name: sum(r.parts[name] for r in answered) / len(runs) for name in names}
    return replace(answered[0], score=sum(r.value or 0.0 for r in runs) / len(runs), parts=parts)


def _scores(rows: Sequence[Row]) -> NDArray[np.float64]:
    return np.array([[run.value or 0.0 for run in row.runs] for row in rows])


def _within(scores_EK: NDArray[np.float64]) -> float:
    return float(scores_EK.var(axis=1, ddof=1).mean())


def _between(means_E: NDArray[np.float64], chance: float) -> float:
    """Variance of means less what their own chance adds to it."""
    return max(0.0, float(means_E.var(ddof=1)) - chance)


def _calls_of_a_run(compared: Sequence[Compared], k: int) -> float:
    """Mean calls that one replicate of a row takes on both sides; at least 1 in all."""
    calls = sum(c.baseline_row.calls + c.challenger_row.calls for c in compared)
    return max(1.0, calls / (k * len(compared)))


def _error(between: float, within: float, rows: int, k: int) -> float:
    return math.sqrt((between + within / k) / rows)
