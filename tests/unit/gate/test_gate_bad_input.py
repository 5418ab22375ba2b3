"""Rows that are few, broken, tied, lost or many, given to ``decide`` and to files of rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.gate.gate_worlds import look, row, side
from upturn.errors import DataError
from upturn.gate import (
    GateReport,
    GateRules,
    Guards,
    Holdout,
    decide,
    decide_in_stages,
    design,
    design_names,
)
from upturn.gate.files import decide_files
from upturn.records import Evaluation, FailureKind, Verdict

RULES = GateRules(draws=1000)
GOOD = [1.0] * 50


def judged(before, after, *, at=None, rules=RULES) -> GateReport:
    sides = (s if isinstance(s, Evaluation) else side(s) for s in (before, after))
    return decide(*sides, rules=rules, look=at or look())


def all_failed(count: int, kind=FailureKind.PROGRAM) -> Evaluation:
    rows = tuple(row(i, None, failure=kind) for i in range(count))
    return Evaluation(candidate_id="c", rows=rows)


def test_unequal_sets_of_rows_are_refused_with_the_first_one_named():
    with pytest.raises(DataError, match="1 ran on the champion alone, 0 on the challenger alone"):
        judged([1.0, 0.0], [1.0])


def test_a_row_that_is_there_twice_is_refused():
    twice = Evaluation(candidate_id="c", rows=(row(0, 1.0), row(0, 1.0)))
    with pytest.raises(DataError, match="every example must be run once"):
        judged(twice, twice)


def test_one_group_says_nothing_however_many_rows_it_has():
    sides = [side(s, groups=["one"] * 50) for s in ([0.0] * 50, GOOD)]
    report = judged(*sides)
    assert (report.verdict, report.groups, report.p_value) == (Verdict.INCONCLUSIVE, 1, 0.5)
    assert report.power.groups >= 6
    assert report.power.for_effect == 0.0


def test_all_ties_hold():
    report = judged(GOOD, GOOD)
    assert (report.verdict, report.effect, report.p_value) == (Verdict.HOLD, 0.0, 1.0)
    assert all(g.ok for g in report.guards)


def test_a_challenger_that_failed_everywhere_holds():
    report = judged(GOOD, all_failed(50))
    assert (report.verdict, report.challenger_score) == (Verdict.HOLD, 0.0)


def test_a_baseline_that_failed_everywhere_is_no_reason_to_promote():
    lost = judged(all_failed(50, FailureKind.OUTAGE), GOOD)
    assert (lost.verdict, lost.n) == (Verdict.INCONCLUSIVE, 0)
    assert lost.reasons[0].startswith("None of the 50 rows")
    unscored = judged([None] * 50, GOOD)
    assert (unscored.verdict, unscored.effect, unscored.power) == (Verdict.INCONCLUSIVE, None, None)
    # its own fault is a wrong answer on every row: a real gain, called what it is
    broken = judged(all_failed(50, FailureKind.FORMAT), GOOD)
    assert broken.verdict is Verdict.PROMOTE
    assert broken.repair.format_only


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1, 1.01])
def test_what_is_no_score_is_refused_on_either_side(bad: float):
    for sides in (([bad], [1.0]), ([1.0], [bad])):
        with pytest.raises(DataError, match=r"e00000: a score must lie in \[0, 1\]"):
            judged(*sides)


def test_nan_in_a_file_is_no_json(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "a", "score": NaN}\n')
    with pytest.raises(DataError, match="NaN is no JSON"):
        decide_files(path, path, rules=RULES)


def test_weights_that_sum_to_nothing_are_refused_in_a_file(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "a", "score": 1, "weight": 0}\n')
    with pytest.raises(DataError, match="must sum to more than 0"):
        decide_files(path, path, rules=RULES)


@pytest.mark.parametrize("name", design_names())
def test_a_spent_look_is_no_verdict_in_any_design(name: str):
    rules = replace(RULES, design=design(name))
    sides = side([0.0] * 50), side(GOOD)
    holdout = Holdout(sizes={r.group: 1.0 for r in sides[0].rows})

    def run(groups: frozenset[str]) -> tuple[Evaluation, Evaluation]:
        first, second = (
            replace(s, rows=tuple(r for r in s.rows if r.group in groups)) for s in sides
        )
        return first, second

    report = decide_in_stages(run, holdout, rules=rules, look=look(6, 0.0)).report
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "error budget is spent" in report.reasons[0]


def test_one_row_is_inconclusive_and_says_what_it_takes():
    report = judged([0.0], [1.0])
    assert (report.verdict, report.n, report.rows_needed) == (Verdict.INCONCLUSIVE, 1, 6)


def test_bad_latency_and_cost_break_nothing_they_should_not():
    rows = [replace(r, latency_s=0.0, cost_usd=0.0) for r in side(GOOD).rows]
    free = Evaluation(candidate_id="c", rows=tuple(rows))
    assert all(g.ok for g in judged(free, free).guards)


def test_a_hundred_thousand_rows(tmp_path: Path):
    rng = np.random.default_rng(0)
    right = rng.random((2, 100_000)) < [[0.6], [0.61]]
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, scores in zip(paths, right, strict=True):
        lines = (f'{{"id": {i}, "score": {int(s)}}}\n' for i, s in enumerate(scores))
        path.write_text("".join(lines))
    report = decide_files(*paths, rules=GateRules(draws=1000, guards=Guards()))
    effect = float(right[1].mean() - right[0].mean())
    assert (report.rows, report.groups) == (100_000, 100_000)
    assert report.effect == pytest.approx(effect)
    assert report.verdict is Verdict.PROMOTE
