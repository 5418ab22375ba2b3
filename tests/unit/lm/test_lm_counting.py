"""Tokens that are counted before a call are those that the call reads."""

import pytest
from dspy.lm15 import Config, Message, Request

from upturn.lm import ModelSpec
from upturn.lm.counting import token_counter

MESSAGES = [
    {"role": "system", "content": "Route the message."},
    {"role": "user", "content": "My parcel came without the lamp."},
]


def test_a_remote_prompt_is_counted_by_characters_with_a_margin():
    counter = token_counter(ModelSpec(model="openai/m"))
    assert counter.margin == 0.2
    assert counter.text("x" * 40) == 10
    # 18 and 32 characters, and four tokens around each message.
    assert counter.prompt(MESSAGES) == 4 + 4 + 4 + 8


@pytest.mark.local
def test_a_local_prompt_is_counted_as_the_engine_encodes_it():
    from transformers import AutoTokenizer

    from upturn import mini
    from upturn.lm.prompt import Prompter

    tokenizer = AutoTokenizer.from_pretrained(mini.weights_dir(), local_files_only=True)
    request = Request(
        model="m",
        system=MESSAGES[0]["content"],
        messages=(Message.user(MESSAGES[1]["content"]),),
        config=Config(),
    )
    counter = token_counter(ModelSpec(model="upturn-mini"))
    assert counter.margin == 0.0
    assert counter.prompt(MESSAGES) == len(Prompter(tokenizer).encode(request).ids)
