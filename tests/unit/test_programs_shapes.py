"""Settings of a candidate, the two shapes of a predictor, and what DSPy hides."""

import json

import dspy
import pytest

from upturn.errors import ConfigError, ProgramError
from upturn.programs import Program, Settings
from upturn.records import Candidate, PromptState

SOURCE = """
import dspy


class Plain(dspy.Module):
    def __init__(self):
        super().__init__()
        self.route = dspy.Predict("message -> team")

    def forward(self, message):
        return self.route(message=message)


class Mixed(dspy.Module):
    signature = dspy.Signature("question -> answer")

    def __init__(self):
        super().__init__()
        self.steps = [dspy.Predict("question -> hint")]
        self.by = {"k": dspy.Predict("question -> reasoning, topic")}
        self.last = dspy.ChainOfThought("question, hint -> answer")

    def forward(self, question):
        return self.last(question=question, hint=self.steps[0](question=question).hint)


class Thinking(dspy.Module):
    signature = dspy.Signature("question -> answer")

    def __init__(self):
        super().__init__()
        self.first = dspy.Predict("question -> hint")
        self.last = dspy.ChainOfThought("question, hint -> answer")


class Shared(dspy.Module):
    def __init__(self):
        super().__init__()
        self.one = dspy.Predict("a -> b")
        self.two = self.one


class InATuple(dspy.Module):
    def __init__(self):
        super().__init__()
        self.steps = (dspy.Predict("a -> b"),)


class Own(dspy.Predict):
    pass


class OwnPredict(dspy.Module):
    def __init__(self):
        super().__init__()
        self.own = Own("a -> b")


class OwnThought(dspy.ChainOfThought):
    def __init__(self):
        super().__init__("a -> b")


def compiled(module):
    module._compiled = True
    return module


class HalfFrozen(dspy.Module):
    signature = dspy.Signature("message -> team")

    def __init__(self):
        super().__init__()
        self.old = compiled(Plain())
        self.new = dspy.Predict("message -> team")


class Frozen(dspy.Module):
    def __init__(self):
        super().__init__()
        self.old = compiled(Plain())
        self.older = compiled(dspy.ChainOfThought("a -> b"))
"""

DEMO = {"message": "m", "team": "billing"}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "p.py").write_text(SOURCE)
    return tmp_path


def having(program, **settings):
    return Candidate(states=program.seed.states, settings=settings)


def names(module):
    return [name for name, _ in module.named_predictors()]


def test_settings_are_read_and_the_rest_is_as_the_config_has_it():
    settings = {"temperature": 1, "adapter": "xml", "module": "cot", "model": "big"}
    read = Settings.of(Candidate(states={}, settings=settings))
    assert read == Settings(temperature=1, adapter="xml", module="cot", model="big")
    assert read.lines == ("temperature: 1", "adapter: xml", "module: cot", "model: big")
    assert Settings.of(Candidate(states={})) == Settings()
    assert Settings.of(Candidate(states={}, settings={"adapter": None})).lines == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"adaptor": "xml"}, "module, model, weights, rollout, got 'adaptor'"),
        ({"rollout": -1}, "rollout must be a whole number >= 0, got -1"),
        ({"weights": "v1"}, "weights must be an adapter's id, 12 hex digits, got 'v1'"),
        ({"adapter": "yaml"}, "adapter must be one of chat, json, xml, got 'yaml'"),
        ({"module": "react"}, "module must be one of predict, cot, got 'react'"),
        ({"temperature": 2.5}, "temperature must be a number from 0 to 2, got 2.5"),
        ({"temperature": True}, "temperature must be a number from 0 to 2, got True"),
        ({"model": 3}, "model must be a name, got 3"),
    ],
)
def test_a_setting_that_nothing_applies_is_refused(root, settings, message):
    program = Program("p.py:Plain", root)
    with pytest.raises(ConfigError, match=message):
        program.build(having(program, **settings))


def test_cot_is_dspys_own_with_the_candidates_prompt(root):
    program = Program("p.py:Plain", root)
    state = PromptState(instruction="Think.", demos=(DEMO, {**DEMO, "reasoning": "because"}))
    candidate = Candidate(states={"route": state}, settings={"module": "cot"})
    own = dspy.ChainOfThought(dspy.Signature("message -> team").with_instructions("Think."))
    demos = [dspy.Example(**d) for d in state.demos]
    expected = dspy.ChatAdapter().format(own.predict.signature, demos, {"message": "new"})
    assert program.messages(candidate, {"message": "new"}) == expected
    assert "reasoning" in expected[0]["content"]
    built = program.assemble(candidate)
    assert names(built.module) == ["route.predict"]
    assert list(built.predictors) == ["route"]
    assert built.predictors["route"] is built.module.route.predict
    assert names(program.build(program.seed)) == ["route"]


def test_each_predictor_takes_the_shape_where_it_stands(root):
    program = Program("p.py:Mixed", root)
    written = ["steps[0]", "by['k']", "last.predict"]
    assert list(program.predictors) == written
    thinking = program.assemble(having(program, module="cot"))
    assert names(thinking.module) == ["steps[0].predict", "by['k']", "last.predict"]
    assert list(thinking.predictors) == written
    fields = {n: list(p.signature.output_fields) for n, p in thinking.predictors.items()}
    assert fields["steps[0]"] == ["reasoning", "hint"]
    assert fields["by['k']"] == ["reasoning", "topic"], "it reasons already"
    assert fields["last.predict"] == ["reasoning", "answer"]


def test_predict_takes_the_reasoning_out_of_what_was_written_with_it(root):
    program = Program("p.py:Thinking", root)
    plain = program.assemble(having(program, module="predict"))
    assert names(plain.module) == ["first", "last"]
    assert list(plain.predictors) == ["first", "last.predict"]
    assert list(plain.predictors["last.predict"].signature.fields) == ["question", "hint", "answer"]


def test_a_saved_state_loads_into_its_own_shape_only(root):
    program = Program("p.py:Plain", root)
    candidate = Candidate(
        states={"route": PromptState(instruction="Think.", demos=(DEMO,))},
        settings={"module": "cot"},
    )
    state = json.loads(program.state_json(candidate))
    blank = program.build(having(program, module="cot"))
    blank.load_state(state)
    assert blank.route.predict.signature.instructions == "Think."
    assert [dict(d) for d in blank.route.predict.demos] == [DEMO]
    assert json.loads(json.dumps(blank.dump_state())) == state
    with pytest.raises(KeyError, match="route"):
        program.build(program.seed).load_state(state)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("InATuple", "cot", r"steps\[0\] is a ChainOfThought"),
        ("OwnPredict", "cot", "own is a Own"),
        ("OwnThought", "predict", "predict is a OwnThought"),
        ("Mixed", "predict", "by.'k'. is a Predict"),
        ("Shared", "cot", "one became one.predict, two"),
    ],
)
def test_what_cannot_take_a_shape_is_named(root, name, shape, message):
    program = Program(f"p.py:{name}", root)
    with pytest.raises(ProgramError, match=message) as caught:
        program.build(having(program, module=shape))
    assert "search.space" in caught.value.fix
    assert program.build(program.seed) is not None


def test_messages_follow_the_adapter(root):
    program = Program("p.py:Plain", root)
    made = program.messages(having(program, adapter="json"), {"message": "{message}"})
    assert made == dspy.JSONAdapter().format(
        dspy.Signature("message -> team"), [], {"message": "{message}"}
    )


def test_compiled_sub_modules_are_named(root):
    half = Program("p.py:HalfFrozen", root)
    assert list(half.predictors) == ["new"]
    assert half.frozen == ("old",)
    assert Program("p.py:Plain", root).frozen == ()
    with pytest.raises(ProgramError, match="keeps as they are: old, older") as caught:
        Program("p.py:Frozen", root)
    assert caught.value.fix == "set `self.old._compiled = False` in the constructor"
