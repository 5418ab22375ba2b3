"""Whole looks in stages: when they stop, what they report, and what no change of the rows does."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.unit.gate.gate_worlds import binary_pair, look, row, side
from upturn.gate import (
    Decided,
    GateReport,
    GateRules,
    Guards,
    Holdout,
    decide_in_stages,
    design,
    design_names,
)
from upturn.gate.evidence import Sample
from upturn.gate.pairing import compare
from upturn.records import Evaluation, FailureKind, Outcome, Row, Verdict, canonical_json

NAMES = design_names()
LAX = Guards(failure_rate_margin=1.0, failure_rate_cap=1.0)


def decided(
    baseline: Evaluation, challenger: Evaluation, name: str = "fixed", *, weights=None, **given
) -> Decided:
    """Decides over rows that are all known, and gives only those that a stage asks for."""
    at = given.pop("at", None) or look(alpha=0.05)
    rules = GateRules(**{"draws": 1000, "design": design(name, given.pop("settings", {})), **given})
    sizes: Counter[str] = Counter()
    for r in baseline.rows:
        sizes[r.group] += weights[r.example_id] if weights else 1

    def run(groups: frozenset[str]) -> tuple[Evaluation, Evaluation]:
        first, second = (
            replace(s, rows=tuple(r for r in s.rows if r.group in groups))
            for s in (baseline, challenger)
        )
        return first, second

    return decide_in_stages(run, Holdout(sizes=sizes, weights=weights), rules=rules, look=at)


def better(n: int = 200, gain: float = 0.25, seed: int = 0) -> tuple[Evaluation, Evaluation]:
    before, after = binary_pair(np.random.default_rng(seed), n, 0.5, 0.5 + gain, rho=0.6)
    return side(before), side(after)


@pytest.mark.parametrize("name", ["group_sequential", "betting"])
def test_a_sure_gain_ends_early_and_says_what_that_saved(name: str):
    before, after = better()
    found = decided(before, after, name)
    report, staged = found.report, found.report.staged
    assert report.verdict is Verdict.PROMOTE
    assert staged is not None
    assert 1 <= staged.stages_run < staged.stages
    assert not staged.futile
    assert (staged.rows_planned, staged.rows_planned - staged.rows_saved) == (200, report.rows)
    assert len(found.baseline.rows) == len(found.challenger.rows) == report.rows
    assert staged.calls_saved == 2 * staged.rows_saved  # each row of the test made one call
    assert 0 < report.low < report.effect < report.high
    assert report.p_value <= staged.level <= 0.05
    assert report.allowed == staged.level
    assert GateReport.from_json(json.loads(canonical_json(report.to_json()))) == report


@pytest.mark.parametrize("name", ["group_sequential", "betting"])
def test_a_hopeless_challenger_ends_early_too(name: str):
    before, after = better()
    found = decided(after, before, name)
    assert found.report.verdict is Verdict.HOLD
    assert found.report.staged.futile
    assert found.report.rows < 200
    whole = decided(after, before, name, settings={"futility": 0})
    assert (whole.report.rows, whole.report.staged.futile) == (200, False)


def test_one_look_reports_no_stages():
    report = decided(*better()).report
    assert (report.staged, report.rows, report.effective_rows) == (None, 200, None)


def test_a_broken_guard_goes_on_to_the_last_row():
    before, after = better()
    slow = replace(after, rows=tuple(replace(r, latency_s=9.0) for r in after.rows))
    found = decided(before, slow, "group_sequential")
    assert found.report.verdict is Verdict.HOLD
    assert found.report.rows == 200
    assert "p95 latency" in found.report.reasons[0]


def test_where_no_error_is_left_only_the_first_stage_is_run():
    found = decided(*better(), "group_sequential", at=look(6, 0.0))
    assert found.report.verdict is Verdict.INCONCLUSIVE
    assert found.report.staged.stages_run == 1
    assert "error budget is spent" in found.report.reasons[0]


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_and_one_row_are_decided(name: str):
    empty = Evaluation(candidate_id="c", rows=())
    assert decided(empty, empty, name).report.verdict is Verdict.INCONCLUSIVE
    one = decided(side([0.0]), side([1.0]), name).report
    assert (one.verdict, one.n) == (Verdict.INCONCLUSIVE, 1)
    unknown = decided(side([None] * 9), side([1.0] * 9), name).report
    assert (unknown.verdict, unknown.effect) == (Verdict.INCONCLUSIVE, None)


def test_weights_change_effect_scores_and_effective_rows():
    # Rows that weigh 3 gain, rows that weigh 1 lose; scaled to a mean of 1.
    before, after = side([0.0] * 20 + [1.0] * 20), side([1.0] * 20 + [0.0] * 20)
    weights = {r.example_id: 1.5 if i < 20 else 0.5 for i, r in enumerate(before.rows)}
    report = decided(before, after, weights=weights, guards=LAX).report
    assert report.effect == pytest.approx((20 * 1.5 - 20 * 0.5) / 40)
    assert (report.baseline_score, report.challenger_score) == (0.25, 0.75)
    assert report.effective_rows == pytest.approx(40**2 / (20 * 1.5**2 + 20 * 0.5**2))
    assert report.test == "exact sign-flip, weighted, by group"
    # 20 gains of 3 and 20 losses of 1, by the chance of a set of them with a sum of 0 or less
    steps = np.arange(21)
    chance = stats.binom.pmf(steps, 20, 0.5)
    p_value = sum(chance[i] * chance[j] for i in steps for j in steps if 3 * i <= j)
    assert report.p_value == pytest.approx(p_value, abs=1e-9)
    same = dict.fromkeys(weights, 1.0)
    plain, weighed = (decided(before, after, weights=w).report for w in (None, same))
    assert replace(weighed, effective_rows=None) == plain


def test_the_p_value_of_few_rows_is_that_of_scipy():
    rng = np.random.default_rng(7)
    values = rng.uniform(-1, 1, size=12).round(3)
    before, after = np.maximum(-values, 0), np.maximum(values, 0)
    expected = stats.permutation_test(
        (after, before),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
        vectorized=True,
    ).pvalue
    assert decided(side(before), side(after)).report.p_value == pytest.approx(expected, abs=1e-9)


kinds = st.sampled_from(list(FailureKind))
old_scores = st.lists(st.sampled_from([0.0, 0.0, 0.5, 1.0, None]), min_size=4, max_size=40)
new_score = st.sampled_from([1.0, 1.0, 1.0, 0.5, 0.0, None])


@settings(max_examples=80, derandomize=True)
@given(old_scores, st.sampled_from(NAMES), st.data())
def test_a_failed_row_of_the_challenger_never_makes_any_design_promote(old, name, data):
    groups = [f"g{i % 23}" for i in range(len(old))]
    before = side(old, groups=groups)
    rows = list(side([data.draw(new_score) for _ in old], groups=groups).rows)
    given = {"max_outage_share": 0.3, "guards": Guards(failure_rate_margin=0.3), "min_gain": 0.02}
    for _ in range(3):
        first = decided(before, Evaluation(candidate_id="c", rows=tuple(rows)), name, **given)
        index, kind = data.draw(st.integers(0, len(rows) - 1)), data.draw(kinds)
        rows[index] = replace(rows[index], outcome=Outcome.FAILED, score=None, failure=kind)
        second = decided(before, Evaluation(candidate_id="c", rows=tuple(rows)), name, **given)
        if second.report.verdict is Verdict.PROMOTE:
            assert first.report.verdict is Verdict.PROMOTE


def _pairs() -> st.SearchStrategy[list[tuple[float, float]]]:
    value = st.sampled_from([0.0, 0.5, 1.0])
    return st.lists(st.tuples(value, value), min_size=1, max_size=40)


def _sides(pairs, *, turn=False, rename=False) -> tuple[Evaluation, Evaluation]:
    def made(index: int, score: float) -> Row:
        name = 997 * (index + 1) % 1009 if rename else index
        return row(name, score, group=f"{'x' if rename else 'g'}{(index * 7) % 31}")

    sides = []
    for which in (0, 1):
        rows = [made(i, p[which]) for i, p in enumerate(pairs)]
        sides.append(Evaluation(candidate_id="c", rows=tuple(rows[::-1] if turn else rows)))
    return sides[0], sides[1]


@settings(max_examples=60, derandomize=True)
@given(_pairs(), st.sampled_from(NAMES))
def test_the_order_of_the_rows_changes_nothing(pairs, name):
    assert decided(*_sides(pairs), name).report == decided(*_sides(pairs, turn=True), name).report


@settings(max_examples=60, derandomize=True)
@given(_pairs())
def test_new_names_change_no_verdict_of_the_fixed_design(pairs):
    # Names draw the order of a design with stages, so there a new name is a new draw.
    first, second = (decided(*_sides(pairs, rename=r), guards=LAX).report for r in (False, True))
    assert (first.verdict, first.effect) == (second.verdict, pytest.approx(second.effect))
    assert first.p_value == pytest.approx(second.p_value, abs=1e-9)


@settings(max_examples=60, derandomize=True)
@given(_pairs(), st.sampled_from(NAMES))
def test_no_two_sides_are_promoted_over_each_other(pairs, name):
    before, after = _sides(pairs)
    verdicts = [decided(*pair, name).report.verdict for pair in ((before, after), (after, before))]
    assert verdicts.count(Verdict.PROMOTE) <= 1


@settings(max_examples=60, derandomize=True)
@given(_pairs())
def test_the_same_evidence_twice_holds_no_promotion_back(pairs):
    before, after = _sides(pairs)
    twice = [
        Evaluation(
            candidate_id="c",
            rows=(
                *s.rows,
                *(replace(r, example_id=f"{r.example_id}b", group=f"{r.group}b") for r in s.rows),
            ),
        )
        for s in (before, after)
    ]
    if decided(before, after, guards=LAX).report.verdict is Verdict.PROMOTE:
        assert decided(twice[0], twice[1], guards=LAX).report.verdict is not Verdict.HOLD


def test_a_sample_of_the_whole_holdout_has_one_stage():
    before, after = _sides([(0.0, 1.0), (1.0, 1.0)])
    sample = Sample.whole(before)
    assert (sample.plan.cuts, sample.plan.order) == ((2,), ("g0", "g7"))
    assert sample.clusters(compare(before, after)).sums.tolist() == [1.0, 0.0]
