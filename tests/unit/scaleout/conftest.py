"""A desk on an event loop of its own, as Ray would run it, and lines to it; a small project."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from upturn.lm import AnswerCache, Caps, Meter
from upturn.records import Json
from upturn.scaleout.books import Books
from upturn.scaleout.desk import Desk, Reply
from upturn.scaleout.line import DRIVER, Line

PROGRAM = """
import dspy


class Echo(dspy.Module):
    def __init__(self):
        super().__init__()
        self.say = dspy.Predict("text -> word")

    def forward(self, text):
        return self.say(text=text)


def metric(example, prediction):
    return example.word == prediction.word
"""
ENGINE = """
from upturn.testing.engine import FakeEngine


def make():
    return FakeEngine(lambda request: "[[ ## word ## ]]\\nyes\\n\\n[[ ## completed ## ]]")
"""


@dataclass
class Office:
    """One desk, its file of answers, and lines to it."""

    cache: AnswerCache
    call: Callable[..., Reply]

    def line(self, ticket: str = DRIVER) -> Line:
        return Line(self.call, ticket)


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def make_office(tmp_path, loop):
    caches = []

    def make(caps: Caps | None = None, *, ask_s: float = 30.0) -> Office:
        cache = AnswerCache(tmp_path / "answers.db", turn="t1")
        caches.append(cache)
        desk = Desk(Books(cache, Meter(caps), ask_s=ask_s))

        def call(question: str, *args: Json) -> Reply:
            # A context of its own, as in another process: what is recorded here is not there.
            start = contextvars.Context().run
            asked = desk.handle(question, *args)
            return start(asyncio.run_coroutine_threadsafe, asked, loop).result()

        return Office(cache=cache, call=call)

    yield make
    for cache in caches:
        cache.close()


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "p.py").write_text(PROGRAM)
    (tmp_path / "e.py").write_text(ENGINE)
    return tmp_path
