"""A race: a candidate runs in blocks against the incumbent on the same rows, and may stop early.

The test that stops a race only saves money; it never promotes. It is a one-sided exact sign test on
the rows where the two differ, after each block. Looking several times makes its error larger than
``stop_p`` says; what is lost by that is a good candidate now and then, never the honesty of a
verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from upturn.evaluate import Evaluator
from upturn.records import Candidate, Evaluation, Example, Row


@dataclass(frozen=True, kw_only=True)
class RaceRules:
    """When a candidate leaves.

    Attributes:
        block_rows: rows run between two looks; also what the engine can batch.
        min_rows: no candidate leaves before so many rows.
        stop_p: it leaves when a sign test says with this error that it is worse.
    """

    block_rows: int = 32
    min_rows: int = 32
    stop_p: float = 0.1


@dataclass(frozen=True, kw_only=True)
class RaceResult:
    """What a race showed.

    Attributes:
        evaluation: the rows that were run.
        estimate: the candidate's score on all rows of the race, the unseen ones estimated by
            pairing: the incumbent's score plus the mean difference on the rows seen. None where no
                row is known.
        finished: it ran on every row.
        reason: why it stopped.
    """

    evaluation: Evaluation
    estimate: float | None
    finished: bool
    reason: str


def race(
    candidate: Candidate,
    examples: Sequence[Example],
    *,
    evaluator: Evaluator,
    incumbent: Evaluation | None,
    rules: RaceRules,
) -> RaceResult:
    """Runs a candidate over the examples in their order, stopping when it is plainly worse.

    Args:
        candidate: who races.
        examples: rows in racing order, the same for every candidate.
        evaluator: runs the rows.
        incumbent: the best so far on all of the examples, or None for the first.
        rules: when to stop.

    Raises:
        OutageError, BudgetExceededError, MetricError: from the evaluator.
    """
    step = rules.block_rows if incumbent else len(examples)
    for end in range(step, len(examples) + step, step):
        seen = examples[: min(end, len(examples))]
        result = evaluator.evaluate(candidate, seen)
        if incumbent is None or len(seen) == len(examples):
            continue
        better, worse = wins(incumbent.rows, result.rows)
        p = sign_test(better, worse)
        if len(seen) >= rules.min_rows and p < rules.stop_p:
            reason = f"worse on {worse}, better on {better} of {len(seen)} rows (p {p:.3f})"
            return RaceResult(
                evaluation=result,
                estimate=paired_estimate(incumbent, result),
                finished=False,
                reason=reason,
            )
    result = evaluator.evaluate(candidate, examples)
    return RaceResult(
        evaluation=result, estimate=result.score, finished=True, reason="ran on every row"
    )


def wins(incumbent: Sequence[Row], challenger: Sequence[Row]) -> tuple[int, int]:
    """Returns on how many rows the challenger is better and worse, where both are known."""
    other = {r.example_id: r.value for r in incumbent}
    pairs = [(other.get(r.example_id), r.value) for r in challenger]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return sum(b > a for a, b in known), sum(b < a for a, b in known)


@lru_cache(maxsize=4096)
def sign_test(better: int, worse: int) -> float:
    """One-sided exact p that the challenger is not worse: P(Bin(better + worse, 1/2) >= worse)."""
    from scipy.stats import binom

    return float(binom.sf(worse - 1, better + worse, 0.5)) if better + worse else 1.0


def paired_estimate(incumbent: Evaluation, challenger: Evaluation) -> float | None:
    """The incumbent's full score plus the mean paired difference on the rows that both know."""
    other = {r.example_id: r.value for r in incumbent.rows}
    gains = [
        r.value - other[r.example_id]  # type: ignore[operator]
        for r in challenger.rows
        if r.value is not None and other.get(r.example_id) is not None
    ]
    if not gains or incumbent.score is None:
        return None
    return min(1.0, max(0.0, incumbent.score + sum(gains) / len(gains)))
