"""Two evaluations of the same rows become paired differences.

What is not known counts against the challenger, never for it:

- The challenger's value is unknown (outage, budget, unscored): it counts 0.
- The baseline's value is unknown: the row is left out, whatever the challenger did there. Keeping
  it only where the challenger answered would let a failed challenger row shrink the denominator
  and so raise the effect.
- A broken format or a crash of the program is a wrong answer: 0 on either side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from upturn.errors import DataError
from upturn.gate.report import Repair
from upturn.records import OWN_FAILURES, Evaluation, FailureKind, Row, pair


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One row that counts: both sides' rows, the values that the comparison uses, its weight."""

    baseline_row: Row
    challenger_row: Row
    baseline: float
    challenger: float
    weight: float = 1.0

    @property
    def difference(self) -> float:
        return self.challenger - self.baseline


def compare(
    baseline: Evaluation,
    challenger: Evaluation,
    weights: Mapping[str, float] | None = None,
) -> tuple[Compared, ...]:
    """Returns the compared rows, ordered by example id.

    Args:
        baseline, challenger: both on the same rows.
        weights: example id -> weight; None where all rows count the same.

    Raises:
        DataError: the two did not run on the same examples, a row appears twice, a row changed its
            group, a score lies outside [0, 1], or a time or cost is no amount.
    """
    _check_same_rows(baseline, challenger)
    pairs = pair(baseline.rows, challenger.rows)
    for before, after in pairs:
        _check_pair(before, after)
    return tuple(
        Compared(
            baseline_row=before,
            challenger_row=after,
            baseline=before.value,
            challenger=after.value or 0.0,
            weight=weights[before.example_id] if weights else 1.0,
        )
        for before, after in sorted(pairs, key=lambda p: p[0].example_id)
        if before.value is not None
    )


def lost_rows(baseline: Evaluation, challenger: Evaluation) -> int:
    """Returns how many rows the world (outage, budget) took from either side."""
    lost = {
        row.example_id
        for row in (*baseline.rows, *challenger.rows)
        if row.failure is not None and row.failure not in OWN_FAILURES
    }
    return len(lost)


def repair(compared: Sequence[Compared]) -> Repair:
    """Tells repaired format from better answers."""
    mended = [
        c
        for c in compared
        if c.baseline_row.failure is FailureKind.FORMAT and c.challenger_row.failure is None
    ]
    both = [c for c in compared if not (c.baseline_row.failure or c.challenger_row.failure)]
    total, part = _sum(compared), _sum(mended)
    whole = sum(c.weight for c in compared)
    return Repair(
        rows=len(mended),
        gain=part / whole if whole else 0.0,
        both_answered=len(both),
        effect_both_answered=weighted_mean((c.difference, c.weight) for c in both),
        format_only=total > 1e-9 and total - part <= 1e-9,
    )


def weighted_mean(values: Iterable[tuple[float, float]]) -> float | None:
    """Returns the mean of values with weights, or None where the weights sum to nothing."""
    total = whole = 0.0
    for value, weight in values:
        total, whole = total + value * weight, whole + weight
    return total / whole if whole else None


def _sum(compared: Sequence[Compared]) -> float:
    return sum(c.difference * c.weight for c in compared)


def _check_same_rows(baseline: Evaluation, challenger: Evaluation) -> None:
    sides = {"champion": baseline, "challenger": challenger}
    ids = {name: [r.example_id for r in side.rows] for name, side in sides.items()}
    for name, found in ids.items():
        if len(set(found)) < len(found):
            extra = len(found) - len(set(found))
            raise DataError(f"every example must be run once, the {name} has {extra} rows too many")
    only = [sorted(set(ids[a]) - set(ids[b])) for a, b in (tuple(ids), tuple(ids)[::-1])]
    if any(only):
        raise DataError(
            "champion and challenger must run on the same examples: "
            f"{len(only[0])} ran on the champion alone, {len(only[1])} on the challenger alone, "
            f"first {(only[0] or only[1])[0]!r}",
            fix="evaluate both on one holdout, then decide",
        )


def _check_pair(before: Row, after: Row) -> None:
    if before.group != after.group:
        raise DataError(
            f"a row must keep its group, got {before.group!r} and {after.group!r}",
            where=before.example_id,
        )
    for row in (before, after):
        # Written so that NaN fails it too.
        if row.value is not None and not 0.0 <= row.value <= 1.0:
            raise DataError(f"a score must lie in [0, 1], got {row.value}", where=row.example_id)
        for name in ("latency_s", "cost_usd"):
            # NaN is beyond no limit: one such row would mend the mean of all.
            value = getattr(row, name)
            if not (math.isfinite(value) and value >= 0):
                raise DataError(
                    f"{name} must be a finite number of at least 0, got {value}",
                    where=row.example_id,
                )
