"""The guard against forgetting: what an adapter does to tasks that it was not made for."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.gate.gate_worlds import binary_pair, look, row, side
from upturn.errors import DataError
from upturn.gate import GateReport, GateRules, Guards, OtherTask, Told, decide, judge_others
from upturn.records import Evaluation, FailureKind, Verdict
from upturn.report.format import guard_limit, guard_value

GAIN = (side([0.0] * 60 + [1.0] * 40), side([1.0] * 90 + [0.0] * 10))


def other(before, after, name="elsewhere"):
    return OtherTask(name=name, plain=side(before), adapted=side(after))


ELSEWHERE = [other([1.0] * 60, [0.0] * 30 + [1.0] * 30)]


def judged(before, after, **rules):
    return judge_others([other(before, after)], Guards(**rules), seed=0)[0]


def test_a_sure_fall_beyond_the_margin_holds_a_better_challenger_back():
    rules = GateRules(min_gain=0.05)
    alone = decide(*GAIN, rules=rules, look=look())
    assert alone.verdict is Verdict.PROMOTE
    held = decide(
        *GAIN,
        rules=rules,
        look=look(),
        told=Told(guards=judge_others(ELSEWHERE, rules.guards, seed=0)),
    )
    assert held.verdict is Verdict.HOLD
    assert held.reasons[0].startswith(
        "Guard broken: forgetting elsewhere: 0.5 against the base's 1 (limit 0.95); 60 rows"
    )
    assert GateReport.from_json(held.to_json()) == held
    assert (held.effect, held.p_value) == (alone.effect, alone.p_value)


@pytest.mark.parametrize(
    ("before", "after", "ok"),
    [
        ([1.0] * 60, [1.0] * 60, True),
        ([1.0] * 60, [0.0] * 3 + [1.0] * 57, True),  # .05: the margin, and no more
        ([1.0] * 60, [0.0] * 6 + [1.0] * 54, False),
        ([0.0] * 30 + [1.0] * 30, [1.0] * 26 + [0.0] * 34, True),  # .07, with as many gains: noise
        ([0.0] * 60, [1.0] * 60, True),  # better is no harm
    ],
)
def test_both_the_size_of_a_fall_and_its_sureness_count(before, after, ok):
    assert judged(before, after).ok is ok


def test_failed_rows_count_as_forgotten():
    plain = side([1.0] * 40)
    broken = Evaluation(
        candidate_id="c",
        rows=tuple(row(i, None, failure=FailureKind.FORMAT) for i in range(40)),
    )
    found = judge_others([OtherTask(name="form", plain=plain, adapted=broken)], Guards(), seed=0)[0]
    assert (found.ok, found.challenger) == (False, 0.0)


def test_few_rows_are_not_judged_and_other_rows_are_refused():
    assert judged([1.0] * 19, [0.0] * 19).note == "not judged: only 19 rows were answered"
    with pytest.raises(DataError, match="same examples"):
        judged([1.0] * 30, [1.0] * 31)


def test_an_adapter_that_changes_nothing_is_rarely_held_back():
    rng = np.random.default_rng(3)
    held = sum(not judged(*binary_pair(rng, 100, 0.7, 0.7, rho=0.8)).ok for _ in range(300))
    assert held <= 300 * 0.08  # the test's 5 %, and less, as the margin asks for more


def test_its_numbers_are_shares_whatever_the_task_is_called():
    found = judge_others([other([1.0] * 30, [0.0] * 30, name="cost center")], Guards(), seed=0)[0]
    assert guard_value(found, found.baseline) == "100.0 %"
    assert guard_limit(found).startswith("≥")
