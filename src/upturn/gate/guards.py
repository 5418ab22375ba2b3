"""What must not get worse: failures, time, money, length. Each with a test of its own.

A guard is broken where the harm seen is beyond its margin and sure (see ``noninferiority``).
``failure_rate_cap`` alone is a hard limit: who fails that often is not promoted, sure or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from upturn.gate.noninferiority import Paired
from upturn.gate.report import GuardResult
from upturn.gate.rules import Guards
from upturn.gate.statistics import Floats
from upturn.records import OWN_FAILURES, Evaluation, Outcome, Row

#: Dollars are tested in millionths, so that what is left of adding decimals is nothing.
_MICRO = 1e6


def judge(
    baseline: Evaluation,
    challenger: Evaluation,
    rules: Guards,
    *,
    draws: int,
    seed: int,
    copies: int = 1,
) -> tuple[GuardResult, ...]:
    """Returns one result per guard.

    Rates are over all rows that were run. Time, money and length are over the rows on which the
    world did not take the champion's answer. A row whose own program failed keeps the time and the
    money it took, so failing cannot make a challenger look fast or cheap. A row of the challenger
    that was lost to the world counts as slower than any answer, and as dear and as long as the
    dearest and longest one of either side. Cached rows carry the time and cost of their original
    call.

    Args:
        baseline, challenger: both on the same rows.
        rules: margins and the level.
        draws, seed: of the random sets.
        copies: how often the rows are taken; see ``evidence.foreseen``.
    """
    rows = Paired.of(baseline.rows, challenger.rows, draws=draws, seed=seed, copies=copies)
    known = rows.where(lambda r: not _lost(r))
    return (
        _failure_rate(rows, rules),
        _unscored_rate(rows, rules),
        _latency(known, rules),
        _cost(known, rules),
        _length(known, rules),
    )


def _failure_rate(rows: Paired, rules: Guards) -> GuardResult:
    before, after = _values(rows, lambda r: float(r.outcome is Outcome.FAILED))
    margin = _average(before) + rules.failure_rate_margin
    capped = rules.failure_rate_cap < margin
    return _result(
        "failure rate",
        "share",
        level=rules.level,
        values=(_average(before), _average(after)),
        limit=min(margin, rules.failure_rate_cap),
        p_value=rows.p_of_harm(after - before),
        n=len(before),
        cap=rules.failure_rate_cap,
        note="limit set by failure_rate_cap" if capped else "",
    )


def _unscored_rate(rows: Paired, rules: Guards) -> GuardResult:
    # Failed rows have no score either: if they did not count, failing would mend this guard. Where
    # the challenger has no unscored row they need not: what breaks it breaks the failure rate's.
    unscored = any(r.outcome is Outcome.UNSCORED for r in rows.after)
    counted = {Outcome.UNSCORED, Outcome.FAILED} if unscored else {Outcome.UNSCORED}
    before, after = _values(rows, lambda r: float(r.outcome in counted))
    return _result(
        "unscored rate",
        "share",
        level=rules.level,
        values=(_average(before), _average(after)),
        limit=_average(before) + rules.failure_rate_margin,
        p_value=rows.p_of_harm(after - before),
        n=len(before),
    )


def _latency(rows: Paired, rules: Guards) -> GuardResult:
    """Tests the 95th percentile by the rows on which each side is slower than the limit."""
    before, after = _values(rows, lambda r: math.inf if _lost(r) else r.latency_s)
    if len(before) < rules.measured_min_rows:
        return _unjudged("p95 latency", "s", len(before))
    was = _p95(before)
    limit = max(was * rules.p95_latency_ratio, was + rules.p95_latency_slack_s)
    slower = _beyond(after, limit).astype(float) - _beyond(before, limit)
    return _result(
        "p95 latency",
        "s",
        level=rules.level,
        values=(was, _p95(after)),
        limit=limit,
        p_value=rows.p_of_harm(slower),
        n=len(before),
    )


def _cost(rows: Paired, rules: Guards) -> GuardResult:
    before, after = _paid(rows, lambda r: r.cost_usd * _MICRO)
    if len(before) < rules.measured_min_rows:
        return _unjudged("cost per row", "USD", len(before))
    was = _average(before) / _MICRO
    return _result(
        "cost per row",
        "USD",
        level=rules.level,
        values=(was, _average(after) / _MICRO),
        limit=max(was * rules.cost_ratio, was + rules.cost_slack_usd),
        p_value=rows.p_of_harm(after - before),
        n=len(before),
    )


def _length(rows: Paired, rules: Guards) -> GuardResult:
    before, after = _paid(rows, lambda r: float(r.output_tokens))
    if len(before) < rules.measured_min_rows:
        return _unjudged("output tokens per row", "tokens", len(before))
    was = _average(before)
    return _result(
        "output tokens per row",
        "tokens",
        level=rules.level,
        values=(was, _average(after)),
        limit=max(was * rules.output_tokens_ratio, was + rules.output_tokens_slack),
        p_value=rows.p_of_harm(after - before),
        n=len(before),
    )


def _values(rows: Paired, value: Callable[[Row], float]) -> tuple[Floats, Floats]:
    before, after = (np.array([value(r) for r in side]) for side in (rows.before, rows.after))
    return before, after


def _paid(rows: Paired, value: Callable[[Row], float]) -> tuple[Floats, Floats]:
    """What each row took; a lost row of the challenger at least the most that any row took."""
    before, after = _values(rows, value)
    lost = np.array([_lost(r) for r in rows.after], dtype=bool)
    most = max(before.max(initial=0.0), after.max(initial=0.0))
    return before, np.where(lost, most, after)


def _result(
    name: str,
    unit: str,
    *,
    level: float,
    values: tuple[float, float],
    limit: float,
    p_value: float,
    n: int,
    cap: float = math.inf,
    note: str = "",
) -> GuardResult:
    before, after = values
    beyond, over = bool(_beyond(after, limit)), bool(_beyond(after, cap))
    sure = p_value <= level
    notes = (
        note,
        "" if math.isfinite(after) else "more than 5 in 100 rows had no answer",
        "may be chance" if beyond and not sure and not over else "",
    )
    return GuardResult(
        name=name,
        baseline=before,
        challenger=after if math.isfinite(after) else None,
        limit=limit,
        ok=not (over or (beyond and sure)),
        note="; ".join(text for text in notes if text),
        p_value=p_value,
        n=n,
        unit=unit,
    )


def _unjudged(name: str, unit: str, rows: int) -> GuardResult:
    return GuardResult(
        name=name,
        baseline=None,
        challenger=None,
        limit=None,
        ok=True,
        note=f"not judged: only {rows} rows were answered",
        n=rows,
        unit=unit,
    )


def _lost(row: Row) -> bool:
    return row.failure is not None and row.failure not in OWN_FAILURES


def _average(values: Floats) -> float:
    return math.fsum(values.tolist()) / len(values) if len(values) else 0.0


def _p95(values: Floats) -> float:
    """Nearest-rank percentile: an observed value, so one row can only move it its own way."""
    return float(np.sort(values)[math.ceil(0.95 * len(values)) - 1]) if len(values) else 0.0


def _beyond(values: Floats | float, limit: float) -> NDArray[np.bool_]:
    return np.asarray(values) > limit + 1e-12
