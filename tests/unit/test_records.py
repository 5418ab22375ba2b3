"""Records: identity is content, failures are counted apart, aggregates state their denominators."""

import pytest

from upturn.records import (
    Candidate,
    Evaluation,
    Example,
    FailureKind,
    Outcome,
    PromptState,
    Row,
    canonical_json,
    content_hash,
    pair,
)


def row(example_id: str, value: float | None = None, failure: FailureKind | None = None) -> Row:
    outcome = Outcome.FAILED if failure else Outcome.UNSCORED if value is None else Outcome.SCORED
    return Row(example_id=example_id, group="g", outcome=outcome, score=value, failure=failure)


def test_canonical_json_does_not_depend_on_key_order():
    assert (
        canonical_json({"b": 1, "a": "é"})
        == canonical_json({"a": "é", "b": 1})
        == '{"a":"é","b":1}'
    )


def test_canonical_json_refuses_nan():
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"a": float("nan")})


def test_content_hash_is_a_prefix_of_the_whole():
    assert content_hash([1, 2], length=12) == content_hash([1, 2])[:12]


def test_own_failures_count_zero_and_the_worlds_count_for_nothing():
    rows = (
        row("a", 1.0),
        row("b", failure=FailureKind.FORMAT),
        row("c", failure=FailureKind.OUTAGE),
        row("d", None),
    )
    evaluation = Evaluation(candidate_id="x", rows=rows)
    assert evaluation.score == 0.5
    assert evaluation.denominator == "scored 1, unscored 1, failed 2"
    assert evaluation.failures() == 2
    assert evaluation.failures(FailureKind.OUTAGE) == 1


def test_a_score_over_nothing_is_unknown():
    lost = Evaluation(candidate_id="x", rows=(row("a", failure=FailureKind.OUTAGE),))
    assert lost.score is None
    assert lost.part("team") is None


def test_parts_count_own_failures_as_zero():
    scored = Row(example_id="a", group="g", outcome=Outcome.SCORED, score=1.0, parts={"team": 1.0})
    rows = (scored, row("b", failure=FailureKind.PROGRAM))
    assert Evaluation(candidate_id="x", rows=rows).part("team") == 0.5


def test_a_candidates_id_is_its_prompt_and_not_where_it_came_from():
    state = PromptState(instruction="Route.", demos=({"message": "m", "team": "billing"},))
    one = Candidate(states={"p": state}, choices={"p.demos": "d-1"})
    other = Candidate(states={"p": state}, choices={"p.demos": "d-2"})
    assert one.id == other.id
    changed = PromptState(instruction="Route!", demos=state.demos)
    assert Candidate(states={"p": changed}).id != one.id


def test_candidate_and_example_survive_json():
    candidate = Candidate(states={"p": PromptState(instruction="i", demos=({"a": "b"},))})
    assert Candidate.from_json(candidate.to_json()) == candidate
    example = Example(
        id="1", inputs={"m": "x"}, labels={"t": "y"}, group="g", event_ids=("e1", "e2")
    )
    assert Example.from_json(example.to_json()) == example


def test_pairs_are_by_example_not_by_position():
    left, right = [row("a", 1.0), row("b", 0.0)], [row("b", 1.0), row("a", 0.0)]
    assert [(x.example_id, y.example_id) for x, y in pair(left, right)] == [("a", "a"), ("b", "b")]


def test_pairing_other_rows_is_our_own_error():
    with pytest.raises((AssertionError, KeyError)):
        pair([row("a", 1.0)], [row("b", 1.0), row("c", 1.0)])
