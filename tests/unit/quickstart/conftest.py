from __future__ import annotations

import pytest
from guessing import Events, guess

from upturn.feedback import Feedback, Request
from upturn.quickstart import generate, write_messages
from upturn.quickstart.generate import Written


@pytest.fixture(scope="session")
def events() -> Events:
    return generate(0, guess, model="guess@1")


@pytest.fixture(scope="session")
def written() -> list[Written]:
    return write_messages(0)


@pytest.fixture(scope="session")
def requests(events: Events) -> list[Request]:
    return [e for e in events if isinstance(e, Request)]


@pytest.fixture(scope="session")
def feedback(events: Events) -> list[Feedback]:
    return [e for e in events if isinstance(e, Feedback)]
