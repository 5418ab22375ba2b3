"""Fields as chat messages: the plain rendering, and that of a DSPy program."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upturn.errors import DataError, ProgramError
from upturn.export.rows import plain_rendering
from upturn.export.rows.program import program_rendering
from upturn.importers.fields import fields

PROGRAM = '''
from typing import Literal
import dspy


class Triage(dspy.Signature):
    """Route the message."""

    message: str = dspy.InputField()
    team: Literal["billing", "technical"] = dspy.OutputField()


class One(dspy.Module):
    def __init__(self):
        super().__init__()
        self.triage = dspy.Predict(Triage)


class Two(dspy.Module):
    signature = Triage

    def __init__(self):
        super().__init__()
        self.a = dspy.Predict(Triage)
        self.b = dspy.Predict(Triage)
'''
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
values = st.recursive(scalars, lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=8)


def test_the_prompt_names_the_fields_and_holds_the_inputs_as_json():
    messages = plain_rendering(("team", "reply")).prompt({"message": 'Say "hi"\n', "tier": 2})
    assert [m["role"] for m in messages] == ["system", "user"]
    assert messages[0]["content"] == (
        "You get a JSON object with the fields: message, tier. "
        "Answer with one JSON object with the fields: team, reply."
    )
    assert json.loads(messages[1]["content"]) == {"message": 'Say "hi"\n', "tier": 2}


def test_a_single_output_and_unknown_outputs_change_the_system_message():
    assert (
        plain_rendering(("output",))
        .prompt({"q": 1})[0]["content"]
        .endswith("Answer with the output and nothing else.")
    )
    assert plain_rendering().prompt({"q": 1})[0]["content"] == (
        "You get a JSON object with the fields: q."
    )


def test_inputs_that_are_chat_messages_are_the_prompt():
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert plain_rendering(("output",)).prompt({"messages": asked}) == asked
    more = plain_rendering().prompt({"messages": asked, "tier": "gold"})
    assert json.loads(more[1]["content"]) == {"messages": asked, "tier": "gold"}
    texts = plain_rendering().prompt({"messages": ["no", "roles"]})
    assert json.loads(texts[1]["content"]) == {"messages": ["no", "roles"]}


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"output": "Good day."}, "Good day."),
        ({"output": '{"a": 1}'}, '{"output": "{\\"a\\": 1}"}'),
        ({"output": ""}, '{"output": ""}'),
        ({"output": 3}, '{"output": 3}'),
        ({"team": "billing"}, '{"team": "billing"}'),
    ],
)
def test_an_answer_is_json_except_where_it_is_one_text(outputs, said):
    assert plain_rendering().answer(outputs) == said


@given(st.dictionaries(st.text(min_size=1), values, min_size=1))
def test_every_answer_can_be_read_back(outputs):
    assert fields(plain_rendering().answer(outputs), "output") == outputs


@given(st.text())
def test_every_text_that_is_the_output_can_be_read_back(text):
    assert fields(plain_rendering().answer({"output": text}), "output") == {"output": text}


def test_a_program_renders_what_its_model_sees(tmp_path: Path):
    (tmp_path / "p.py").write_text(PROGRAM)
    render = program_rendering("p.py:One", tmp_path)
    messages = render.prompt({"message": "My invoice is wrong.", "tier": "gold"})
    assert [m["role"] for m in messages] == ["system", "user"]
    assert "Route the message." in messages[0]["content"]
    assert "[[ ## message ## ]]\nMy invoice is wrong." in messages[1]["content"]
    assert "gold" not in messages[1]["content"]
    assert render.said({"team": "billing"}) == [
        {"role": "assistant", "content": "[[ ## team ## ]]\nbilling\n\n[[ ## completed ## ]]\n"}
    ]


def test_a_program_must_fit_the_rows(tmp_path: Path):
    (tmp_path / "p.py").write_text(PROGRAM)
    with pytest.raises(ProgramError, match="one predictor, got a, b"):
        program_rendering("p.py:Two", tmp_path)
    render = program_rendering("p.py:One", tmp_path)
    with pytest.raises(DataError, match="input fields, message missing among text"):
        render.prompt({"text": "hi"})
    with pytest.raises(DataError, match="output fields, team missing among"):
        render.answer({})
