"""Rows as text: what the program really sends, whose consent, and no row that sees its answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from upturn.datasets.preferences import KtoRow, Pair
from upturn.errors import DataError, ProgramError
from upturn.finetune.rows import material, prompt_for, trainable
from upturn.programs import Program
from upturn.records import Candidate, Example, PromptState

PROGRAM = """
import dspy
from typing import Literal

class Route(dspy.Signature):
    "Route the message."
    message: str = dspy.InputField()
    team: Literal["billing", "sales"] = dspy.OutputField()

class One(dspy.Module):
    def __init__(self):
        super().__init__()
        self.route = dspy.Predict(Route)
    def forward(self, message):
        return self.route(message=message)

class Two(dspy.Module):
    def __init__(self):
        super().__init__()
        self.a = dspy.Predict("question -> idea")
        self.b = dspy.Predict("idea -> answer")

class Shown(One):
    def __init__(self):
        super().__init__()
        self.route.demos = [dspy.Example(message="hi", team="sales")]
"""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    (tmp_path / "p.py").write_text(PROGRAM)
    return Program("p.py:One", tmp_path)


def example(n: int, message: str, team: str = "billing", **more) -> Example:
    made = {"id": f"r{n}", "group": f"g{n}", "weight": 0.7, "event_ids": (f"r{n}", f"f{n}")}
    return Example(inputs={"message": message}, labels={"team": team}, **{**made, **more})


def prompted(program: Program, *demos: dict, **settings) -> Candidate:
    states = {"route": PromptState(instruction="Send it on.", demos=demos)}
    return Candidate(states=states, settings=settings)


def test_a_row_is_what_the_program_sends_and_what_it_should_get(program):
    candidate = prompted(program, {"message": "I pay too much", "team": "billing"})
    made = material("sft", program, candidate, [example(1, "Where is my quote?", "sales")])
    (row,) = made.rows
    assert list(row.messages) == program.messages(candidate, {"message": "Where is my quote?"})
    assert row.answer == "[[ ## team ## ]]\nsales\n\n[[ ## completed ## ]]\n"
    assert (row.weight, row.event_ids, row.group) == (0.7, ("r1", "f1"), "g1")
    assert made.dropped == {}


@pytest.mark.parametrize("adapter", ["json", "xml"])
def test_the_answer_is_in_the_format_of_the_prompt(program, adapter):
    made = material("sft", program, prompted(program, adapter=adapter), [example(1, "hi")])
    (row,) = made.rows
    assert (
        row.answer.split()
        == {
            "json": ["{", '"team":', '"billing"', "}"],
            "xml": ["<team>", "billing", "</team>"],
        }[adapter]
    )
    assert json.loads(row.answer) == {"team": "billing"} if adapter == "json" else True


def test_no_row_is_shown_its_own_answer(program):
    demos = [
        {"message": "I pay too much", "team": "billing"},
        {"message": "A quote?", "team": "sales"},
    ]
    rows = [example(1, "I PAY too much!"), example(2, "Something else")]
    made = material("sft", program, prompted(program, *demos), rows)
    own, other = (json.dumps(row.messages) for row in made.rows)
    assert made.demos_hidden == 1
    assert "I pay too much" not in own
    assert "A quote?" in own
    assert "I pay too much" in other


def test_the_three_ways_to_combine(tmp_path, program):
    shown = Program("p.py:Shown", tmp_path)
    champion = prompted(shown, {"message": "m", "team": "sales"}, weights="abc", temperature=0.3)
    assert prompt_for(shown, "weights_only", champion).states["route"].demos == ()
    assert prompt_for(shown, "weights_only", champion).states["route"].instruction != "Send it on."
    for combine in ("prompt_then_weights", "both"):
        found = prompt_for(shown, combine, champion)
        assert found.states == champion.states
        assert found.settings == {"temperature": 0.3}
        assert prompt_for(shown, combine, None) == shown.seed


def test_consent_without_training_keeps_rows_and_their_pairs_out(program):
    rows = [
        example(1, "a"),
        example(2, "b", consent=("evaluate",)),
        example(3, "c", consent=("train",)),
        example(4, "d", consent=()),
    ]
    made = material("sft", program, program.seed, rows)
    assert [r.id for r in made.rows] == ["r1", "r3"]
    assert made.dropped == {"no_consent": 2}
    assert [r.id for r in trainable(rows)] == ["r1", "r3"]
    pairs = [pair(rows[0]), pair(rows[1])]
    made = material("dpo", program, program.seed, rows, pairs=pairs)
    assert [r.inputs["message"] for r in made.rows] == ["a"]
    assert made.dropped == {"no_consent": 1}


def pair(row: Example, rejected: str = "sales") -> Pair:
    return Pair(
        inputs=row.inputs,
        chosen=row.labels,
        rejected={"team": rejected},
        weight=0.8,
        kind="correction",
        event_ids=row.event_ids,
        group=row.group,
    )


def test_pairs_and_judged_answers(program):
    row = example(1, "hi")
    (made,) = material("dpo", program, program.seed, [row], pairs=[pair(row)]).rows
    assert made.answer.startswith("[[ ## team ## ]]\nbilling")
    assert made.rejected is not None
    assert made.rejected.startswith("[[ ## team ## ]]\nsales")
    assert (made.weight, made.group, made.event_ids) == (0.8, "g1", ("r1", "f1"))
    judged = KtoRow(
        inputs=row.inputs,
        completion={"team": "sales"},
        desirable=False,
        weight=0.6,
        event_ids=("r1",),
        group="g1",
    )
    (made,) = material("kto", program, program.seed, [row], kto=[judged]).rows
    assert made.desirable is False
    assert made.rejected is None
    assert "sales" in made.answer


def test_what_was_chosen_is_a_wanted_answer_for_kto_once(program):
    rows = [example(1, "a"), example(2, "b")]
    judged = KtoRow(
        inputs=rows[1].inputs,
        completion=rows[1].labels,
        desirable=True,
        weight=0.6,
        event_ids=("r2",),
        group="g2",
    )
    pairs = [pair(rows[0]), pair(rows[0], rejected="other"), pair(rows[1])]
    made = material("kto", program, program.seed, rows, pairs=pairs, kto=[judged]).rows
    assert [(r.inputs["message"], r.desirable, r.weight) for r in made] == [
        ("b", True, 0.6),
        ("a", True, 0.8),
    ]


@pytest.mark.parametrize("kind", ["sft", "dpo", "kto"])
def test_an_empty_train_says_what_is_missing(program, kind):
    with pytest.raises(DataError, match=r"train must hold .*got 0 \(none came in\)") as caught:
        material(kind, program, program.seed, [])
    assert caught.value.fix


def test_empty_answers_are_dropped(program):
    rows = [example(1, "a", team="  "), example(2, "b")]
    made = material("sft", program, program.seed, rows)
    assert made.dropped == {"empty_answer": 1}
    with pytest.raises(DataError, match="1 empty_answer"):
        material("sft", program, program.seed, rows[:1])


def test_programs_that_cannot_be_trained(tmp_path, program):
    two = Program("p.py:Two", tmp_path)
    with pytest.raises(ProgramError, match="one predictor, got a, b"):
        material("sft", two, two.seed, [example(1, "a")])
    reasoning = prompted(program, module="cot")
    with pytest.raises(DataError, match="output fields, reasoning missing among team"):
        material("sft", program, reasoning, [example(1, "a")])
