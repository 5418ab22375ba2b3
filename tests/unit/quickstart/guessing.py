"""A champion for tests: it guesses, and now and then its answer cannot be read."""

from __future__ import annotations

import random
from collections.abc import Sequence

from upturn.events import Feedback, Request
from upturn.quickstart.reactions import PRIORITIES, TEAMS

Events = list[Request | Feedback]


def guess(messages: list[str]) -> Sequence[dict[str, str] | None]:
    """Answers at random; fails on every fortieth message."""
    rng = random.Random(3)
    return [
        None if k % 40 == 7 else {"team": rng.choice(TEAMS), "priority": rng.choice(PRIORITIES)}
        for k in range(len(messages))
    ]
