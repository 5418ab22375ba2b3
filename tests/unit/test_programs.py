"""Programs: load by file, read fields, apply a candidate; errors name file and line."""

import json

import pytest

from upturn.errors import ProgramError
from upturn.programs import Program, load_metric
from upturn.records import Candidate, PromptState

ONE = """
from typing import Literal
import dspy


class Route(dspy.Signature):
    '''Route the message.'''
    message: str = dspy.InputField()
    team: Literal["billing", "technical"] = dspy.OutputField()
    note: str = dspy.OutputField()


class Router(dspy.Module):
    def __init__(self):
        super().__init__()
        self.route = dspy.Predict(Route)

    def forward(self, message):
        return self.route(message=message)


class Two(dspy.Module):
    def __init__(self):
        super().__init__()
        self.first = dspy.Predict("question -> hint")
        self.second = dspy.ChainOfThought("question, hint -> answer")

    def forward(self, question):
        return self.second(question=question, hint=self.first(question=question).hint)


class TwoSaid(Two):
    signature = dspy.Signature("question -> answer")


class Empty(dspy.Module):
    pass


class Needy(dspy.Module):
    def __init__(self, x):
        super().__init__()


def metric(example, prediction, trace=None):
    return example.team == prediction.team


def narrow(example):
    return 1.0


number = 3
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "p.py").write_text(ONE)
    return tmp_path


def test_fields_and_labels_come_from_the_signature(root):
    fields = Program("p.py:Router", root).fields
    assert fields.inputs == ("message",)
    assert fields.outputs == {"team": ("billing", "technical"), "note": None}


def test_the_seed_is_the_program_as_written(root):
    seed = Program("p.py:Router", root).seed
    assert seed.states == {"route": PromptState(instruction="Route the message.")}


def test_a_candidate_is_applied_to_a_fresh_module(root):
    program = Program("p.py:Router", root)
    demo = {"message": "m", "team": "billing", "note": "n"}
    candidate = Candidate(states={"route": PromptState(instruction="New.", demos=(demo,))})
    module = program.build(candidate)
    assert module.route.signature.instructions == "New."
    assert [dict(d.items()) for d in module.route.demos] == [demo]
    assert program.build(program.seed).route.signature.instructions == "Route the message."
    assert program.seed.states["route"].demos == ()


def test_messages_hold_instruction_demos_and_input(root):
    program = Program("p.py:Router", root)
    demo = {"message": "old text", "team": "billing", "note": "n"}
    candidate = Candidate(states={"route": PromptState(instruction="Do it.", demos=(demo,))})
    messages = program.messages(candidate, {"message": "new text"})
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user"]
    assert "Do it." in messages[0]["content"]
    assert "old text" in messages[1]["content"]
    assert "new text" in messages[3]["content"]


def test_state_json_is_dspys_own_and_holds_no_model(root):
    program = Program("p.py:Router", root)
    state = json.loads(program.state_json(program.seed))
    assert state["route"]["signature"]["instructions"] == "Route the message."
    assert state["route"]["lm"] is None


def test_several_predictors_need_the_programs_own_signature(root):
    two = Program("p.py:Two", root)
    assert set(two.predictors) == {"first", "second.predict"}
    with pytest.raises(ProgramError, match="program of 2 predictors must say its own inputs"):
        _ = two.fields
    assert Program("p.py:TwoSaid", root).fields.outputs == {"answer": None}


def test_a_candidate_of_another_program_is_refused(root):
    program = Program("p.py:Router", root)
    with pytest.raises(ProgramError, match=r"sets \['other'\], the program has \['route'\]"):
        program.build(Candidate(states={"other": PromptState(instruction="x")}))


def test_the_fingerprint_follows_the_file(root):
    before = Program("p.py:Router", root).fingerprint
    (root / "p.py").write_text(ONE + "\n# another program\n")
    assert Program("p.py:Router", root).fingerprint != before


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("p.py", "must be 'file.py:Name'"),
        ("absent.py:X", "no such file: absent.py"),
        ("p.py:Ruoter", "did you mean Router"),
        ("p.py:number", "must be a dspy.Module class"),
        ("p.py:Empty", "no predictor to tune"),
        ("p.py:Needy", "cannot be built without arguments"),
    ],
)
def test_bad_references_say_the_rule(root, ref, message):
    with pytest.raises(ProgramError, match=message) as caught:
        Program(ref, root)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("source", "where"),
    [("import dspy\nimport not_there_at_all\n", "broken.py:2"), ("x = (\n", "broken.py:1")],
)
def test_a_file_that_does_not_import_names_file_and_line(tmp_path, source, where):
    (tmp_path / "broken.py").write_text(source)
    with pytest.raises(ProgramError, match="does not import") as caught:
        Program("broken.py:X", tmp_path)
    assert caught.value.where == where


def test_a_metric_must_take_two_arguments(root):
    assert load_metric("p.py:metric", root).name == "p.py:metric"
    with pytest.raises(ProgramError, match=r"metric\(example, prediction\)"):
        load_metric("p.py:narrow", root)
