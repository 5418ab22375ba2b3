"""What must not get worse: failures, time, money, and each named slice."""

from __future__ import annotations

import math
from collections.abc import Sequence

from upturn.gate.report import GuardResult, SliceResult
from upturn.gate.rules import Guards
from upturn.records import OWN_FAILURES, Evaluation, Outcome, Row


def judge(
    baseline: Evaluation,
    challenger: Evaluation,
    slices: Sequence[SliceResult],
    rules: Guards,
) -> tuple[GuardResult, ...]:
    """Returns one result per guard, the slices' last.

    Rates are over all rows that were run. A row whose own program failed keeps the time and the
    money it took, so failing cannot make a challenger look fast or cheap. A row lost to the world
    counts as slower than any answer; what it cost is not known, and more than a few of them end
    without a verdict anyway. Cached rows carry the time and cost of their original call.
    """
    sides = (baseline, challenger)
    return (
        _failure_rate(*sides, rules),
        _unscored_rate(*sides, rules),
        _latency(*sides, rules),
        _cost(*sides, rules),
        *(_slice(s, rules) for s in slices if s.n >= rules.slice_min_rows),
    )


def _failure_rate(baseline: Evaluation, challenger: Evaluation, rules: Guards) -> GuardResult:
    before, after = (_rate(side, Outcome.FAILED) for side in (baseline, challenger))
    limit = min(before + rules.failure_rate_margin, rules.failure_rate_cap)
    capped = limit < before + rules.failure_rate_margin
    return GuardResult(
        name="failure rate",
        baseline=before,
        challenger=after,
        limit=limit,
        ok=_within(after, limit),
        note="limit set by failure_rate_cap" if capped else "",
    )


def _unscored_rate(baseline: Evaluation, challenger: Evaluation, rules: Guards) -> GuardResult:
    before, after = (_rate(side, Outcome.UNSCORED) for side in (baseline, challenger))
    limit = before + rules.failure_rate_margin
    return GuardResult(
        name="unscored rate",
        baseline=before,
        challenger=after,
        limit=limit,
        ok=_within(after, limit),
    )


def _latency(baseline: Evaluation, challenger: Evaluation, rules: Guards) -> GuardResult:
    known = [r.latency_s for r in baseline.rows if not _lost(r)]
    if len(known) < rules.measured_min_rows:
        return _unjudged("p95 latency", len(known))
    before = _p95(known)
    after = _p95([math.inf if _lost(r) else r.latency_s for r in challenger.rows])
    limit = max(before * rules.p95_latency_ratio, before + rules.p95_latency_slack_s)
    return GuardResult(
        name="p95 latency",
        baseline=before,
        challenger=after if math.isfinite(after) else None,
        limit=limit,
        ok=_within(after, limit),
        note="" if math.isfinite(after) else "more than 5 in 100 rows had no answer",
    )


def _cost(baseline: Evaluation, challenger: Evaluation, rules: Guards) -> GuardResult:
    known = [r.cost_usd for r in baseline.rows if not _lost(r)]
    spent = [r.cost_usd for r in challenger.rows if not _lost(r)]
    if min(len(known), len(spent)) < rules.measured_min_rows:
        return _unjudged("cost per row", min(len(known), len(spent)))
    before, after = sum(known) / len(known), sum(spent) / len(spent)
    limit = max(before * rules.cost_ratio, before + rules.cost_slack_usd)
    return GuardResult(
        name="cost per row",
        baseline=before,
        challenger=after,
        limit=limit,
        ok=_within(after, limit),
    )


def _slice(found: SliceResult, rules: Guards) -> GuardResult:
    limit = found.baseline - rules.slice_margin
    return GuardResult(
        name=f"slice {found.name}",
        baseline=found.baseline,
        challenger=found.challenger,
        limit=limit,
        ok=found.challenger >= limit - 1e-12,
        note=f"{found.n} rows",
    )


def _unjudged(name: str, rows: int) -> GuardResult:
    note = f"not judged: only {rows} rows were answered"
    return GuardResult(name=name, baseline=None, challenger=None, limit=None, ok=True, note=note)


def _lost(row: Row) -> bool:
    return row.failure is not None and row.failure not in OWN_FAILURES


def _rate(side: Evaluation, outcome: Outcome) -> float:
    return side.count(outcome) / len(side.rows) if side.rows else 0.0


def _p95(values: Sequence[float]) -> float:
    """Nearest-rank percentile: an observed value, so one row can only move it its own way."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1] if values else 0.0


def _within(value: float, limit: float) -> bool:
    return value <= limit + 1e-12
