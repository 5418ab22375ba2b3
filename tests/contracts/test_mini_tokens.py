"""Contract: what DSPy sends through the chat template is, token by token, what was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import dspy
import pytest
from tokenizers import Tokenizer

from upturn.mini import weights_dir
from upturn.mini.encode import PHRASES, SPECIALS, Encoder
from upturn.mini.frame import Answer, Episode, Field, Turn, framed

pytestmark = pytest.mark.local

TEAMS = ("billing", "shipping & returns", "technical_support")
LEVELS = ("low", "high")
DEFINED = """Route the message to the right team.
billing: charge, refund or invoice
shipping & returns: parcel "lost"; late delivery
- technical_support: crash, error 404

The priority is 'high' when the message asks a question, else 'low'."""
DEMOS = [
    {"message": "I was charged twice, 12.50 EUR!", "team": "billing", "priority": "low"},
    {"message": "where is my parcel?", "team": "shipping & returns", "priority": "high"},
    {
        "message": "App crashes; see [[ log ]] - 'boom'",
        "team": "technical_support",
        "priority": "low",
    },
]
ASKED = "hi there,  the site's login page is down… why?"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(weights_dir())


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(Tokenizer.from_file(str(weights_dir() / "tokenizer.json")))


def signature(fields: Sequence[str], goal: str) -> Any:
    members: dict[str, Any] = {"message": (str, dspy.InputField())}
    types = {"team": Literal[TEAMS], "priority": Literal[LEVELS]}
    members |= {name: (types[name], dspy.OutputField()) for name in fields}
    return dspy.Signature(members, goal)


def dspy_ids(tokenizer: Any, sig: Any, demos: Sequence[Mapping[str, Any]], text: str) -> list[int]:
    messages = dspy.ChatAdapter().format(sig, [dict(d) for d in demos], {"message": text})
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]


def episode(fields: Sequence[str], goal: str, demos: Sequence[Mapping[str, Any]]) -> Episode:
    options = {"team": TEAMS, "priority": LEVELS}
    rows = [*demos, {"message": ASKED, "team": TEAMS[0], "priority": LEVELS[0]}]
    return framed(
        kind="test",
        input_name="message",
        fields=[Field(name=name, options=options[name]) for name in fields],
        goal=goal,
        turns=[
            Turn(
                text=row["message"],
                answers=tuple(Answer(field=name, value=row[name]) for name in fields),
            )
            for row in rows
        ],
    )


@pytest.mark.parametrize("fields", [("team",), ("team", "priority")], ids=["one", "two"])
@pytest.mark.parametrize("demos", [[], DEMOS], ids=["bare", "demos"])
@pytest.mark.parametrize("goal", ["Route it.", DEFINED], ids=["short", "defined"])
def test_prompt_tokens_equal_training_tokens(
    tokenizer: Any, encoder: Encoder, fields: tuple[str, ...], demos: Any, goal: str
) -> None:
    shown = [{k: d[k] for k in ("message", *fields)} for d in demos]
    got = dspy_ids(tokenizer, signature(fields, goal), shown, ASKED)
    assert got == encoder.prompt(episode(fields, goal, shown))


def test_default_instruction_is_the_trained_one(tokenizer: Any, encoder: Encoder) -> None:
    sig = dspy.Signature("message -> team, priority")
    goal = "Given the fields `message`, produce the fields `team`, `priority`."
    trained = framed(
        kind="test",
        input_name="message",
        fields=[Field(name="team"), Field(name="priority")],
        goal=goal,
        turns=[Turn(text=ASKED, answers=())],
    )
    assert dspy_ids(tokenizer, sig, [], ASKED) == encoder.prompt(trained)


def test_field_descriptions(tokenizer: Any, encoder: Encoder) -> None:
    members: dict[str, Any] = {
        "message": (str, dspy.InputField()),
        "team": (Literal[TEAMS], dspy.OutputField(desc="who should answer")),
        "reply": (str, dspy.OutputField(desc="one polite sentence")),
    }
    trained = framed(
        kind="test",
        input_name="message",
        fields=[
            Field(name="team", options=TEAMS, description="who should answer"),
            Field(name="reply", description="one polite sentence"),
        ],
        goal="Answer.",
        turns=[Turn(text=ASKED, answers=())],
    )
    assert dspy_ids(tokenizer, dspy.Signature(members, "Answer."), [], ASKED) == encoder.prompt(
        trained
    )


def test_answer_tokens_equal_a_finetuning_row(tokenizer: Any, encoder: Encoder) -> None:
    sig = signature(("team", "priority"), DEFINED)
    row = {"message": ASKED, "team": TEAMS[0], "priority": LEVELS[0]}
    data = dspy.ChatAdapter().format_finetune_data(
        sig, DEMOS, {"message": ASKED}, {k: row[k] for k in ("team", "priority")}
    )
    got = tokenizer.apply_chat_template(data["messages"])["input_ids"]
    assert got == encoder.episode(episode(("team", "priority"), DEFINED, DEMOS)).ids


def test_phrases_and_specials_are_single_tokens(encoder: Encoder) -> None:
    assert [len(encoder.text(p)) for p in (*SPECIALS, *PHRASES)] == [1] * (5 + len(PHRASES))


def test_template_refuses_a_role_it_was_not_trained_on(tokenizer: Any) -> None:
    from jinja2.exceptions import TemplateError

    with pytest.raises(TemplateError, match="system, user and assistant, got tool"):
        tokenizer.apply_chat_template([{"role": "tool", "content": "x"}])
