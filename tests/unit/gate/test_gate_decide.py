"""Verdicts, guards and numbers on tables small enough to work out by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.gate.gate_worlds import look, row, side
from upturn.errors import ConfigError, DataError
from upturn.gate import GateReport, GateRules, Guards, decide, look_alpha, looks_affordable
from upturn.records import (
    OWN_FAILURES,
    Evaluation,
    FailureKind,
    Outcome,
    Row,
    Verdict,
    canonical_json,
)

RULES = GateRules(draws=1000)


def made(*rows: Row, name: str = "c") -> Evaluation:
    return Evaluation(candidate_id=name, rows=rows)


def judged(baseline, challenger, *, rules: GateRules = RULES, at=None) -> GateReport:
    sides = (s if isinstance(s, Evaluation) else side(s) for s in (baseline, challenger))
    return decide(*sides, rules=rules, look=at or look())


def guard(report: GateReport, name: str):
    return next(g for g in report.guards if g.name == name)


# 40 rows: 10 mended, 1 broken, 20 right on both, 9 wrong on both
BEFORE = [0.0] * 10 + [1.0] + [1.0] * 20 + [0.0] * 9
AFTER = [1.0] * 10 + [0.0] + [1.0] * 20 + [0.0] * 9


def test_every_number_of_a_promotion() -> None:
    report = judged(BEFORE, AFTER)
    assert report.verdict is Verdict.PROMOTE
    assert report.effect == pytest.approx(9 / 40)
    assert (report.baseline_score, report.challenger_score) == (21 / 40, 30 / 40)
    assert report.p_value == pytest.approx(12 / 2**11)  # 0 or 1 lost of 11 that differ
    assert (report.test, report.n, report.groups, report.rows) == ("exact McNemar", 40, 40, 40)
    assert (report.look, report.alpha, report.confidence) == (1, 0.025, 0.95)
    assert report.low is not None
    assert report.high is not None
    assert 0 < report.low < 9 / 40 < report.high
    assert report.rows_needed is None
    assert report.reasons[0].startswith("The challenger is better by +0.225")
    assert report.baseline_counts.scored == 40
    assert all(g.ok for g in report.guards)


def test_a_report_survives_a_json_file() -> None:
    rows = [row(i, s, lang="de" if i % 2 else "en") for i, s in enumerate(BEFORE)]
    after = [row(i, s, lang="de" if i % 2 else "en") for i, s in enumerate(AFTER)]
    report = judged(made(*rows, name="a"), made(*after, name="b"))
    assert len(report.slices) == 2
    assert GateReport.from_json(json.loads(canonical_json(report.to_json()))) == report


def test_row_order_and_seed_give_the_same_report() -> None:
    before, after = side([0.3, 0.71, 0.2] * 9), side([0.4, 0.69, 0.35] * 9)
    turned = Evaluation(candidate_id="c", rows=after.rows[::-1])
    assert judged(before, after) == judged(before, turned)


def test_the_same_answers_hold() -> None:
    report = judged(BEFORE, BEFORE)
    assert (report.verdict, report.effect, report.p_value) == (Verdict.HOLD, 0.0, 1.0)
    assert (report.low, report.high) == (0.0, 0.0)
    assert "In every group both score the same in sum." in report.reasons


def test_a_gain_that_may_be_chance_asks_for_rows() -> None:
    report = judged([0.0] * 4 + [1.0] * 36, [1.0] * 4 + [0.0] + [1.0] * 35)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.p_value == pytest.approx(6 / 32)
    variance, z = (5 / 40 - 0.075**2) * 40 / 39, 1.95996
    rows = report.rows_needed
    # half a percent is as near as it looks; one step of whole numbers, and flips know no gain
    for size, beyond in ((rows, True), (rows * 0.98, False)):
        deviation = (size * variance) ** 0.5
        flipped = (size * (variance + 0.075**2)) ** 0.5
        assert ((0.075 * size - 1 - z * flipped) / deviation >= 0.84162) is beyond
    assert report.power.rows == rows
    assert any(f"{rows} fresh rows in about {rows} groups would find +0.075" in r
               for r in report.reasons)  # fmt: skip
    assert "may be chance" in report.reasons[0]


def test_a_gain_below_what_is_worth_a_release_holds() -> None:
    sure = judged(BEFORE, AFTER, rules=replace(RULES, min_gain=0.5))
    assert (sure.verdict, sure.rows_needed) == (Verdict.HOLD, None)
    assert "below min_gain 0.5" in sure.reasons[0]
    assert "not even +" in sure.reasons[0]
    plausible = judged(BEFORE, AFTER, rules=replace(RULES, min_gain=0.3))
    assert plausible.verdict is Verdict.HOLD
    assert "up to +" in plausible.reasons[0]


def test_a_spent_budget_asks_for_fresh_data() -> None:
    report = judged(BEFORE, AFTER, at=look(6, 0.0))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "look 6 at the same holdout and its error budget is spent" in report.reasons[0]
    assert report.confidence == 0.95


@pytest.mark.parametrize("spoiled", ["baseline", "challenger"])
def test_outages_on_either_side_end_without_a_verdict(spoiled: str) -> None:
    rows = {"baseline": list(side(BEFORE).rows), "challenger": list(side(AFTER).rows)}
    rows[spoiled][30] = row(30, None, failure=FailureKind.OUTAGE)
    report = judged(made(*rows["baseline"]), made(*rows["challenger"]))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "1 of 40 rows were lost to outages or budget" in report.reasons[0]
    allowed = GateRules(max_outage_share=0.025, guards=Guards(failure_rate_margin=0.1))
    report = judged(made(*rows["baseline"]), made(*rows["challenger"]), rules=allowed)
    assert report.verdict is Verdict.PROMOTE
    # the champion was right there: unknown is 0 for the challenger, and left out for the champion
    expected = {"baseline": 9 / 39, "challenger": 8 / 40}[spoiled]
    assert report.effect == pytest.approx(expected)


def test_no_scored_rows_is_no_verdict() -> None:
    report = judged([None] * 5, [1.0] * 5)
    assert (report.verdict, report.effect, report.n) == (Verdict.INCONCLUSIVE, None, 0)
    assert report.reasons[0].startswith("None of the 5 rows")
    assert judged([], []).verdict is Verdict.INCONCLUSIVE


def test_what_the_metric_does_not_score_counts_against_the_challenger() -> None:
    report = judged(BEFORE, [*AFTER[:-19], *[None] * 10, *AFTER[-9:]])
    assert report.effect == pytest.approx((9 - 10) / 40)
    assert guard(report, "unscored rate").challenger == 0.25
    assert report.verdict is Verdict.HOLD


def test_a_gain_that_is_only_repaired_format_is_called_that() -> None:
    before = [row(i, None, failure=FailureKind.FORMAT) for i in range(10)]
    report = judged(made(*before, *side(BEFORE).rows[10:]), AFTER)
    assert report.verdict is Verdict.PROMOTE
    assert (report.repair.rows, report.repair.gain) == (10, 10 / 40)
    assert (report.repair.both_answered, report.repair.effect_both_answered) == (30, -1 / 30)
    assert report.repair.format_only
    assert any("only repaired format: 10 rows" in r for r in report.reasons)
    assert not judged(BEFORE, AFTER).repair.format_only


def test_failures_above_the_margin_hold_a_gain_once_they_are_no_chance() -> None:
    def failed(count: int) -> GateReport:
        rows = [row(i, None, failure=FailureKind.FORMAT) if i >= 40 - count else r
                for i, r in enumerate(side(AFTER).rows)]  # fmt: skip
        return judged(BEFORE, made(*rows))

    few, many = failed(2), failed(6)
    assert few.effect == many.effect == pytest.approx(9 / 40)
    assert few.verdict is Verdict.PROMOTE  # two of two that differ: p = 1/4
    found = guard(few, "failure rate")
    assert (found.ok, found.note, found.n, found.unit) == (True, "may be chance", 40, "share")
    assert found.p_value == pytest.approx(1 / 4, abs=0.05)
    assert many.verdict is Verdict.HOLD
    assert many.reasons[0].startswith(
        "Guard broken: failure rate: 0.15 against the champion's 0 (limit 0.02); one-sided p = 0.0"
    )
    assert guard(many, "failure rate").p_value == pytest.approx(1 / 64, abs=0.015)


@pytest.mark.parametrize(
    ("name", "field", "before", "within", "beyond"),
    [
        ("p95 latency", "latency_s", 1.0, 2.0, 2.01),
        ("p95 latency", "latency_s", 0.01, 0.26, 0.27),
        ("cost per row", "cost_usd", 0.01, 0.015, 0.0151),
        ("cost per row", "cost_usd", 0.0, 0.0001, 0.00011),
    ],
)
def test_time_and_money_may_rise_to_the_larger_of_two_limits(
    name: str, field: str, before: float, within: float, beyond: float
) -> None:
    def at(scores: list[float], value: float) -> Evaluation:
        return made(*(replace(r, **{field: value}) for r in side(scores).rows))

    assert judged(at(BEFORE, before), at(AFTER, within)).verdict is Verdict.PROMOTE
    report = judged(at(BEFORE, before), at(AFTER, beyond))
    assert report.verdict is Verdict.HOLD
    assert [g.name for g in report.guards if not g.ok] == [name]


def test_p95_ignores_two_slow_rows_of_forty_and_not_three() -> None:
    def slow(count: int) -> GateReport:
        rows = (replace(r, latency_s=9.0) if i < count else r
                for i, r in enumerate(side(AFTER).rows))  # fmt: skip
        return judged(BEFORE, made(*rows))

    assert guard(slow(2), "p95 latency").challenger == 0.1
    assert guard(slow(3), "p95 latency").challenger == 9.0


def test_few_rows_judge_neither_time_nor_money() -> None:
    report = judged([0.0] * 12, made(*(row(i, 1.0, latency_s=99.0) for i in range(12))))
    assert report.verdict is Verdict.PROMOTE
    assert guard(report, "p95 latency").note == "not judged: only 12 rows were answered"


def test_a_slice_that_loses_too_much_holds_a_gain_and_a_small_one_does_not() -> None:
    before = [row(i, 0.0, lang="en") for i in range(30)] + [
        row(30 + i, 1.0, lang="de") for i in range(20)
    ]

    def lost(count: int, rows: int = 50) -> GateReport:
        after = [row(i, 1.0, lang="en") for i in range(30)] + [
            row(30 + i, float(i >= count), lang="de") for i in range(20)
        ]
        return judged(made(*before[:rows]), made(*after[:rows]))

    report = lost(8)
    assert report.verdict is Verdict.HOLD
    assert "slice lang=de" in report.reasons[0]
    assert not guard(report, "slice lang=de").ok
    assert {s.name: s.effect for s in report.slices} == {
        "lang=de": pytest.approx(-0.4), "lang=en": 1.0
    }  # fmt: skip
    # three of three that differ: p = 1/8, times two slices
    few = guard(lost(3), "slice lang=de")
    assert (few.ok, few.note) == (True, "may be chance")
    assert few.p_value == pytest.approx(1 / 4, abs=0.06)
    assert lost(8, rows=49).verdict is Verdict.PROMOTE


kinds = st.sampled_from(list(FailureKind))
scores = st.sampled_from([0.0, 0.0, 0.5, 1.0, 1.0, None])
ORDER = [Verdict.HOLD, Verdict.INCONCLUSIVE, Verdict.PROMOTE]


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.lists(scores, min_size=8, max_size=40), st.data())
def test_a_failed_challenger_row_never_raises_the_verdict(before, data: st.DataObject) -> None:
    gain = st.sampled_from([1.0, 1.0, 1.0, 0.5, 0.0, None])
    groups = [f"g{i % 19}" for i in range(len(before))]
    after = [data.draw(gain) for _ in before]
    rules = replace(RULES, max_outage_share=0.1, guards=Guards(failure_rate_margin=0.2))
    old, new = side(before, groups=groups), side(after, groups=groups)
    rows = list(new.rows)
    for _ in range(3):
        index, kind = data.draw(st.integers(0, len(rows) - 1)), data.draw(kinds)
        first = judged(old, made(*rows), rules=rules)
        rows[index] = replace(rows[index], outcome=Outcome.FAILED, score=None, failure=kind)
        second = judged(old, made(*rows), rules=rules)
        if kind in OWN_FAILURES and first.verdict != second.verdict:
            assert ORDER.index(second.verdict) < ORDER.index(first.verdict) or _was_lost(first)
        assert not (second.verdict is Verdict.PROMOTE and first.verdict is not Verdict.PROMOTE)


def _was_lost(report: GateReport) -> bool:
    return any("lost to outages" in r for r in report.reasons)


def test_different_rows_groups_or_scores_are_bad_input() -> None:
    with pytest.raises(DataError, match="1 ran on the champion alone, 0 on the challenger alone"):
        judged([1.0, 0.0], [1.0])
    with pytest.raises(DataError, match="every example must be run once, the challenger has 1"):
        judged([1.0], made(row(0, 1.0), row(0, 1.0)))
    with pytest.raises(DataError, match="a row must keep its group, got 'g00000' and 'x'"):
        judged([1.0], made(row(0, 1.0, group="x")))
    for bad in (1.5, float("nan")):
        with pytest.raises(DataError, match=r"e00000: a score must lie in \[0, 1\]"):
            judged([bad], [1.0])


def test_rules_name_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"alpha must be in \(0, 0.5\), got 0.5; draws must"):
        GateRules(alpha=0.5, draws=10)
    with pytest.raises(ConfigError, match=r"guards.slice_margin must be >= 0, got -0.1"):
        Guards(slice_margin=-0.1)
    with pytest.raises(ConfigError, match=r"at most the gate's alpha 0.01, got 0.025"):
        judged(BEFORE, AFTER, rules=replace(RULES, alpha=0.01))


def test_looks_halve_and_never_spend_more_than_alpha() -> None:
    levels = [look_alpha(0.05, k) for k in range(1, 9)]
    assert levels == [0.025, 0.0125, 0.00625, 0.003125, 0.0015625, 0.0, 0.0, 0.0]
    assert looks_affordable(0.05) == 5
    assert look_alpha(0.05, 2, spent=0.04) == pytest.approx(0.01)  # alpha was lowered in between
    assert look_alpha(0.05, 2, spent=0.06) == 0.0
