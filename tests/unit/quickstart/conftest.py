from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from upturn.feedback import Feedback, Request
from upturn.quickstart import generate, write_messages
from upturn.quickstart.generate import Written
from upturn.quickstart.reactions import PRIORITIES, TEAMS

Events = list[Request | Feedback]


def guess(messages: list[str]) -> Sequence[dict[str, str] | None]:
    """Answers at random; fails on every fortieth message."""
    rng = random.Random(3)
    return [
        None if k % 40 == 7 else {"team": rng.choice(TEAMS), "priority": rng.choice(PRIORITIES)}
        for k in range(len(messages))
    ]


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
