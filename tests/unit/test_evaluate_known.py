"""Rows are run once; what the world failed may be asked for again."""

import pytest

from upturn.errors import BudgetExceededError, OutageError
from upturn.evaluate.known import KnownRows, check
from upturn.records import Candidate, Example, FailureKind, Outcome, PromptState, Row


def candidate(text):
    return Candidate(states={"p": PromptState(instruction=text)})


def example(name):
    return Example(id=name, inputs={}, labels={}, group="g")


def row(name, failure=None):
    outcome = Outcome.SCORED if failure is None else Outcome.FAILED
    return Row(example_id=name, group="g", outcome=outcome, failure=failure, message="why")


A, B = candidate("a"), candidate("b")


def test_each_row_is_fresh_once():
    known = KnownRows()
    work = [(A, [example("1"), example("2")]), (B, [example("1")]), (A, [example("1")])]
    assert list(known.fresh(work)) == [(A.id, "1"), (A.id, "2"), (B.id, "1")]
    known.keep((A.id, "1"), row("1"))
    assert list(known.fresh(work)) == [(A.id, "2"), (B.id, "1")]


@pytest.mark.parametrize("failure", [FailureKind.OUTAGE, FailureKind.BUDGET])
def test_what_the_world_failed_is_asked_again(failure):
    known = KnownRows()
    known.keep((A.id, "1"), row("1", failure))
    assert list(known.fresh([(A, [example("1")])])) == [(A.id, "1")]


def test_evaluations_hold_old_and_new_rows_in_the_order_asked_for():
    known = KnownRows()
    known.keep((A.id, "1"), row("1"))
    work = [(A, [example("2"), example("1")])]
    found = known.evaluations(work, {(A.id, "2"): row("2")})
    assert [r.example_id for r in found[0].rows] == ["2", "1"]
    assert found[0].candidate_id == A.id


def test_a_cap_is_told():
    with pytest.raises(BudgetExceededError, match="why"):
        check({(A.id, "1"): row("1"), (A.id, "2"): row("2", FailureKind.BUDGET)})


def rows(lost, fine):
    failed = {(A.id, f"l{n}"): row(f"l{n}", FailureKind.OUTAGE) for n in range(lost)}
    return failed | {(A.id, f"f{n}"): row(f"f{n}") for n in range(fine)}


def test_half_of_a_candidate_lost_is_an_outage_and_less_is_not():
    check(rows(lost=7, fine=9))
    with pytest.raises(OutageError, match="8 of 16 rows could not reach the model: why"):
        check(rows(lost=8, fine=8))


def test_of_few_rows_all_must_be_lost():
    check(rows(lost=7, fine=1))
    with pytest.raises(OutageError, match="8 of 8 rows"):
        check(rows(lost=8, fine=0))
