"""Bootstrapped demos: traces that scored full, several draws, filled with labelled rows."""

from dataclasses import dataclass

import pytest

from tests.unit.propose.worlds import SOURCE, ScriptedEvaluator, changed, examples, scored, survivor
from upturn.programs import Program
from upturn.propose import PROPOSERS
from upturn.records import Evaluation, Example


def proposals(evidence):
    return list(PROPOSERS["bootstrapped"]().propose(evidence))


def right_ids(evidence):
    """The rows that the scripted evaluator said were right: every second one."""
    return set(evidence.evaluator.asked[1::2])


@dataclass
class Knows:
    """Answers only some rows right."""

    known: frozenset

    def evaluate(self, candidate, examples, *, tolerant=False):
        rows = tuple(scored(e, float(e.id in self.known)) for e in examples)
        return Evaluation(candidate_id=candidate.id, rows=rows)

    def trace(self, candidate, example):
        return {"route": {**example.inputs, **example.labels, "reasoning": "because"}}


def test_sets_of_traces_hold_only_what_scored_full(evidence):
    found = proposals(evidence)
    pure = [p for p in found if ":mixed:" not in p.origin]
    assert {i for p in pure for i in p.example_ids} <= right_ids(evidence)
    assert len(evidence.evaluator.asked) == evidence.bootstrap_rows
    assert [p.origin for p in pure] == [f"bootstrapped:{n}" for n in (2, 4, 6, 8, 8, 8)]
    assert len({frozenset(p.example_ids) for p in pure[-3:]}) == 3


def test_the_rows_that_are_run_and_shown_are_balanced(evidence):
    train = [*examples(60), *(e for e in examples(200, start=60) if e.labels["team"] == "billing")]
    evidence = changed(evidence, train=train, bootstrap_rows=20)
    found = proposals(evidence)
    labels = {e.id: e.labels["team"] for e in train}
    asked = [labels[i] for i in evidence.evaluator.asked]
    assert asked.count("billing") == asked.count("technical") == 10
    for p in (p for p in found if len(p.demos) >= 4):
        assert {d["team"] for d in p.demos} == {"billing", "technical"}


def test_a_mixed_set_is_filled_with_labelled_rows_of_which_there_is_no_trace(evidence):
    mixed = [p for p in proposals(evidence) if p.origin == "bootstrapped:mixed:8"]
    assert len(mixed) == 3
    for p in mixed:
        traced = [i in right_ids(evidence) for i in p.example_ids]
        assert traced == [True] * 4 + [False] * 4


def test_few_traces_are_told_and_still_mixed(evidence):
    said = []
    evidence = changed(
        evidence,
        train=examples(12),
        evaluator=Knows(frozenset({"e003"})),
        tell=lambda *words: said.append(words),
    )
    # The program reasons, so labelled rows alone make no demo of the traces' shape.
    found = proposals(evidence)
    assert {p.origin for p in found} == {f"bootstrapped:mixed:{n}" for n in (2, 4, 6, 8)}
    assert all(p.example_ids[0] == "e003" for p in found)
    sentence = "rows that scored full: 1 of 48 at most; the smallest set needs 2"
    assert said == [("bootstrapped", sentence)]


def test_nothing_right_is_nothing_proposed(evidence):
    evidence = changed(evidence, evaluator=Knows(frozenset()))
    assert proposals(evidence) == []


def test_later_generations_run_the_best_survivor(evidence):
    best = survivor(evidence, "Better.")
    proposals(changed(evidence, survivors=[best]))
    assert evidence.evaluator.candidates == [best.candidate.id]


@pytest.fixture
def pipe(evidence, tmp_path):
    (tmp_path / "pipe.py").write_text(SOURCE)
    program = Program("pipe.py:Pipe", tmp_path)
    rows = [
        Example(id=f"r{i}", inputs={"message": f"m{i}"}, labels={"answer": "a"}, group=str(i))
        for i in range(20)
    ]
    traces = {
        e.id: {
            "topic": {**e.inputs, "topic": "money"},
            "team": {"topic": "money", "team": "billing"},
            "answer": {**e.inputs, "team": "billing", "answer": "a"},
        }
        for e in rows
    }
    return changed(
        evidence,
        program=program,
        start=program.seed,
        train=rows,
        evaluator=ScriptedEvaluator(traces),
    )


def test_inner_predictors_get_demos_of_their_own_fields(pipe):
    found = proposals(pipe)
    assert {p.predictor for p in found} == {"topic", "team", "answer"}
    fields = {p.predictor: {frozenset(d) for d in p.demos} for p in found}
    assert fields["team"] == {frozenset({"topic", "team"})}
    # The inner fields have no labels: there is nothing to mix in.
    assert not [p for p in found if ":mixed:" in p.origin]
