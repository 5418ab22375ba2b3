"""What the engine benchmark asks: prompts of about 600 tokens, of which the first 500 are the same.

The prompts are what DSPy makes of ``programs/ticket_triage.py`` with demos; demos and messages are
what customers wrote in the sample log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from dspy.lm15 import Config, Message, Request

from upturn.programs import Program
from upturn.quickstart import write_messages

PROGRAM = "programs/ticket_triage.py:TicketTriage"
MAX_TOKENS = 40
_DEMOS = 10
_MESSAGE_CHARS = 180


def prompts(n: int, *, seed: int = 5) -> list[Request]:
    """Returns ``n`` different requests with one system message and one set of demos."""
    written = iter([w.message for w in write_messages(seed, requests=max(4000, 8 * n))])
    program = Program(PROGRAM, Path(__file__).parents[1])
    demos = tuple(
        {"message": m.text, "team": m.team, "priority": m.priority} for m in islice(written, _DEMOS)
    )
    state = replace(program.seed.states["triage"], demos=demos)
    candidate = replace(program.seed, states={"triage": state})
    return [_request(program.messages(candidate, {"message": _long(written)})) for _ in range(n)]


def _long(written: Iterator[Any]) -> str:
    """Joins messages up to the wanted length: a customer with more than one matter."""
    text = next(written).text
    while len(text) < _MESSAGE_CHARS:
        text = f"{text}\n{next(written).text}"
    return text


def _request(chat: list[dict[str, Any]]) -> Request:
    turns = tuple(
        (Message.user if turn["role"] == "user" else Message.assistant)(turn["content"])
        for turn in chat[1:]
    )
    config = Config(max_tokens=MAX_TOKENS, temperature=0.0)
    return Request(model="m", system=chat[0]["content"], messages=turns, config=config)
