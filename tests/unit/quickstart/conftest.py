from __future__ import annotations

import pytest

from tests.unit.quickstart.guessing import Events, guess
from upturn.events import Feedback, Request
from upturn.quickstart import generate, write_messages
from upturn.quickstart.generate import SEED, Written


@pytest.fixture(scope="session")
def events() -> Events:
    return generate(SEED, guess, model="guess@1")


@pytest.fixture(scope="session")
def written() -> list[Written]:
    return write_messages(SEED)


@pytest.fixture(scope="session")
def requests(events: Events) -> list[Request]:
    return [e for e in events if isinstance(e, Request)]


@pytest.fixture(scope="session")
def feedback(events: Events) -> list[Feedback]:
    return [e for e in events if isinstance(e, Feedback)]
