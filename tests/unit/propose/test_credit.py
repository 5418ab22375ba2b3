"""Credit: who is to blame for a failed row, and what confusions that leaves."""

import pytest

from tests.unit.propose.worlds import (
    SOURCE,
    ScriptedEvaluator,
    changed,
    examples,
    scored,
    survivor,
)
from upturn.programs import Program
from upturn.propose import PROPOSERS
from upturn.propose.credit import blamed, failed_rows, faults, leader
from upturn.records import Example, FailureKind, Outcome, Row


def row(**labels):
    return Example(id="r", inputs={"message": "my card"}, labels=labels, group="g")


def pipe_trace(topic="money", team="billing", answer="a"):
    return {
        "topic": {"message": "my card", "topic": topic},
        "team": {"topic": topic, "team": team},
        "answer": {"message": "my card", "team": team, "answer": answer},
    }


@pytest.fixture
def pipe(tmp_path):
    (tmp_path / "p.py").write_text(SOURCE)
    return Program("p.py:Pipe", tmp_path)


@pytest.mark.parametrize(
    ("labels", "trace", "to_blame"),
    [
        # The first wrong value misled whoever read it.
        ({"topic": "money", "team": "billing"}, pipe_trace("access", "technical"), ["topic"]),
        ({"topic": "money", "team": "billing"}, pipe_trace("money", "technical"), ["team"]),
        # All that has a label is right: what has none is to blame.
        ({"topic": "money", "team": "billing"}, pipe_trace(), ["answer"]),
        # No label says whether the topic was right, and it came before the wrong team.
        ({"team": "billing"}, pipe_trace("access", "technical"), ["topic", "team"]),
        ({"topic": "money"}, pipe_trace("access", "technical"), ["topic"]),
        ({}, pipe_trace(), ["topic", "team", "answer"]),
        # A free text that reads otherwise is not known to be wrong.
        ({"answer": "b"}, pipe_trace(), ["topic", "team", "answer"]),
        # The row broke off: nothing is known.
        ({"topic": "money", "team": "billing"}, {}, ["topic", "team", "answer"]),
        # A step that did not run is not to blame.
        ({}, {"topic": pipe_trace()["topic"]}, ["topic"]),
    ],
)
def test_the_predictor_that_wrote_the_wrong_value_is_to_blame(pipe, labels, trace, to_blame):
    assert blamed(pipe.predictors, trace, row(**labels)) == to_blame


def test_two_that_read_only_the_message_are_both_to_blame(pipe):
    fields = pipe.predictors
    side = {"team": {"topic": "my card", "team": "technical"}}
    trace = {"topic": pipe_trace("access")["topic"], **side}
    assert blamed(fields, trace, row(topic="money", team="billing")) == ["topic", "team"]


def test_all_right_and_still_failed_is_everybodys(pipe):
    trace = {k: v for k, v in pipe_trace().items() if k != "answer"}
    assert blamed(pipe.predictors, trace, row(topic="money", team="billing")) == ["topic", "team"]


def test_faults_follow_the_traces(evidence, pipe):
    rows = [Example(**{**vars(row(topic="money", team="billing")), "id": n}) for n in "abc"]
    traces = {"a": pipe_trace("access"), "b": pipe_trace("money", "technical")}
    broken = Row(
        example_id="c", group="g", outcome=Outcome.FAILED, failure=FailureKind.FORMAT, message="?"
    )
    failures = [(rows[0], scored(rows[0], 0.0)), (rows[1], scored(rows[1], 0.0)), (rows[2], broken)]
    evidence = changed(
        evidence,
        program=pipe,
        start=pipe.seed,
        failures=failures,
        evaluator=ScriptedEvaluator(traces),
    )
    found = faults(evidence)
    assert {name: [f.example.id for f in own] for name, own in found.items()} == {
        "topic": ["a", "c"],
        "team": ["b", "c"],
        "answer": ["c"],
    }
    assert found["topic"][0].wrote == {"topic": "access"}
    assert found["team"][1].wrote == {}


def test_one_predictor_needs_no_trace(evidence):
    found = faults(changed(evidence, evaluator=None))["route"]
    assert [f.example for f in found] == [e for e, _ in evidence.failures]
    assert found[0].wrote == {"team": "billing", "urgent": "no"}


def test_later_generations_improve_on_the_best_survivor(evidence):
    right, wrong = examples(2, start=500)
    best = survivor(evidence, "Better.", (), [scored(right, 1.0), scored(wrong, 0.0)])
    later = changed(evidence, survivors=[best, survivor(evidence, "Worse.")])
    assert leader(evidence) == evidence.start
    assert leader(later) == best.candidate
    assert [e.id for e, _ in failed_rows(later)] == ["e501"]
    assert failed_rows(evidence) == list(evidence.failures)


def test_a_confusion_gives_a_rule_of_train_words(evidence):
    found = [p for p in PROPOSERS["confusion"]().propose(evidence) if ":team:" in p.origin]
    (only,) = found  # one confusion: all three tops are the same
    assert only.origin == "confusion:team:1"
    start, _, end = only.instruction.partition(" choose ")
    assert start.startswith("Route. When it mentions login or ")
    assert len(start.removeprefix("Route. When it mentions ").split(" or ")) == 4
    assert end == "the team technical, not billing."
    assert only.example_ids
    assert {evidence_label(evidence, i) for i in only.example_ids} == {"technical"}
    failed = {i for e, _ in evidence.failures for i in e.event_ids}
    assert failed < set(only.event_ids)


def evidence_label(evidence, example_id):
    return next(e.labels["team"] for e in evidence.train if e.id == example_id)


def test_the_most_frequent_confusion_comes_first_and_sure_rows_count_more(evidence):
    rows = [Example(**{**vars(e), "weight": 0.1}) for e in examples(12, start=500)]
    billing = [e for e in rows if e.labels["team"] == "billing"]
    sure = [e for e in examples(12, start=500) if e.labels["team"] == "technical"][:2]
    failures = [(e, scored(e, 0.0, team="technical")) for e in billing]
    failures += [(e, scored(e, 0.0, team="billing")) for e in sure]
    found = PROPOSERS["confusion"]().propose(changed(evidence, failures=failures))
    texts = {p.origin: p.instruction for p in found}
    assert list(texts) == ["confusion:team:1", "confusion:team:2"]
    assert texts["confusion:team:1"].endswith("choose the team technical, not billing.")
    assert texts["confusion:team:2"].endswith("choose the team billing, not technical.")


def test_a_rule_is_given_once(evidence):
    (rule,) = [p for p in PROPOSERS["confusion"]().propose(evidence) if ":team:" in p.origin]
    failed = [r for _, r in evidence.failures]
    told = changed(evidence, survivors=[survivor(evidence, rule.instruction, (), failed)])
    assert [p for p in PROPOSERS["confusion"]().propose(told) if ":team:" in p.origin] == []
