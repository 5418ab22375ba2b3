"""What customers write in about: teams, and the kinds of issue that come back to each."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from upturn.quickstart.phrases import load


@dataclass(frozen=True, kw_only=True)
class Issue:
    """A kind of issue.

    Attributes:
        name: unique in the world.
        team: who handles it.
        priority: what the desk's rule gives it when the message says nothing about haste.
        weight: how often it comes up within its team.
        says, asks: phrases (see :mod:`upturn.quickstart.phrases`) for the matter and for the wish.
    """

    name: str
    team: str
    priority: str
    weight: float
    says: tuple[str, ...]
    asks: tuple[str, ...]


def issues() -> tuple[Issue, ...]:
    """Returns all kinds of issue, team by team."""
    return tuple(
        Issue(
            name=name,
            team=team,
            priority=entry["priority"],
            weight=float(entry["weight"]),
            says=tuple(entry["says"]),
            asks=tuple(entry["asks"]),
        )
        for team, kinds in load("issues").items()
        for name, entry in kinds.items()
    )


def draw_issue(known: Sequence[Issue], rng: random.Random) -> Issue:
    """Draws a team, all alike, then one of its issues by weight."""
    team = rng.choice(sorted({i.team for i in known}))
    own = [i for i in known if i.team == team]
    return rng.choices(own, [i.weight for i in own])[0]
