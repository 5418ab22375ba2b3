"""Episodes with free text as answer: copying a value out of a text, and replying like an agent."""

from __future__ import annotations

import random

from upturn.mini.corpus import Corpus
from upturn.mini.frame import Answer, Episode, Field, Turn, framed
from upturn.mini.wording import INPUTS

EXTRACTION, REPLY = "ext", "ask"
_GOALS = ("Extract the {s}.", "Copy the {s} from the {i}.", "Find the {s} in the {i}.")
_REPLY_FIELDS = ("reply", "response", "answer", "reply", "suggestion")
_REPLY_GOALS = (
    "Answer the {i}.",
    "Write a {o} to the {i}.",
    "Given the fields `{i}`, produce the fields `{o}`.",
    "Reply politely to the {i}.",
)
_REPLY_LIMIT = 240  # characters


def extraction(rng: random.Random, corpus: Corpus) -> Episode:
    """Draws an episode that copies one slot's value out of each text."""
    asked = corpus.spans[rng.randrange(len(corpus.spans))]
    named = rng.random() < 0.8
    vague = ["value", "answer", "span", "entity"]
    output = asked.slot.replace(" ", "_") if named else rng.choice(vague)
    input_name = rng.choice(INPUTS)
    goal = rng.choice([*_GOALS, "What is the {s}?"]).format(s=asked.slot, i=input_name)
    demos = rng.choices(corpus.slots[asked.slot], k=rng.choice([0, 1, 2, 3, 4, 6]))
    described = rng.random() < 0.4
    turns = [
        Turn(text=s.text, answers=(Answer(field=output, value=s.value),)) for s in [*demos, asked]
    ]
    field = Field(name=output, description=asked.description if described else "")
    return framed(kind=EXTRACTION, input_name=input_name, fields=[field], goal=goal, turns=turns)


def reply(rng: random.Random, corpus: Corpus) -> Episode:
    """Draws an episode that answers utterances as an agent did."""
    input_name, output = rng.choice(INPUTS), rng.choice(_REPLY_FIELDS)
    goal = rng.choice(_REPLY_GOALS).format(i=input_name, o=output)
    pairs = rng.choices(corpus.pairs, k=rng.choice([1, 1, 2, 3]))
    turns = [
        Turn(
            text=said[:_REPLY_LIMIT],
            answers=(Answer(field=output, value=answer[:_REPLY_LIMIT]),),
        )
        for said, answer in pairs
    ]
    return framed(
        kind=REPLY, input_name=input_name, fields=[Field(name=output)], goal=goal, turns=turns
    )
