"""Answers of a support desk as facts and faults, and the words for them."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace

from upturn.quickstart.phrases import expand, load
from upturn.quickstart.reactions import PRIORITIES, TEAMS

_NUMBER = re.compile(r"(?<!\d)\d{5}(?!\d)")
#: How often a promise is the usual one.
_USUAL = 0.9


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What an answer says.

    Attributes:
        team: who takes the matter.
        priority: decides by when.
        number: the order it is about; None where the message names none.
    """

    team: str
    priority: str
    number: str | None

    def agreement(self, other: Facts) -> int:
        """Returns how many of the three are the same."""
        mine, theirs = ((f.team, f.priority, f.number) for f in (self, other))
        return sum(a == b for a, b in zip(mine, theirs, strict=True))


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An answer: what it says, what is wrong with it, and its words.

    Attributes:
        promises: how many things that nobody may promise.
        fillers: how many sentences beside the point.
        placeholder: whether a blank was left unfilled.
    """

    facts: Facts
    promises: int
    fillers: int
    placeholder: bool
    text: str

    @property
    def words(self) -> int:
        return len(self.text.split())


def order_number(message: str) -> str | None:
    """Returns the first order number of a message: five digits."""
    found = _NUMBER.search(message)
    return found.group() if found else None


def with_order(message: str, rng: random.Random) -> str:
    """Returns a message that names its order; one that does already is left as it is."""
    if order_number(message):
        return message
    phrase = rng.choice(load("replies")["orders"]).replace(
        "<number>", str(rng.randint(20_000, 99_999))
    )
    joint = " " if message.endswith((".", "?", "!")) else ", "
    return message + joint + phrase


def word(
    facts: Facts,
    rng: random.Random,
    *,
    promises: int = 0,
    fillers: int = 0,
    placeholder: bool = False,
) -> Draft:
    """Puts an answer into words, with the faults asked for: up to four promises and fillers."""
    phrases = load("replies")
    sentences = [_core(facts, rng), *_some_promises(promises, rng)]
    for filler in rng.sample(phrases["fillers"], fillers):
        sentences.insert(rng.randint(1, len(sentences)), filler)
    if placeholder:
        sentences.insert(0, rng.choice(phrases["placeholders"]))
    return Draft(
        facts=facts,
        promises=promises,
        fillers=fillers,
        placeholder=placeholder,
        text=" ".join(expand(s, rng) for s in sentences),
    )


def _core(facts: Facts, rng: random.Random) -> str:
    phrases = load("replies")
    core = rng.choice(phrases["answers"]["quoting" if facts.number else "plain"])
    values = {
        "team": facts.team,
        "when": phrases["whens"][facts.priority],
        "number": facts.number or "",
    }
    for slot, value in values.items():
        core = core.replace(f"<{slot}>", value)
    return core


def _some_promises(count: int, rng: random.Random) -> list[str]:
    usual, *others = load("replies")["promises"]
    first = usual if rng.random() < _USUAL else rng.choice(others)
    rest = [p for p in (usual, *others) if p != first]
    return [first, *rng.sample(rest, count - 1)] if count else []


def mistaken(facts: Facts, rng: random.Random, *, chance: float) -> Facts:
    """Returns the facts with each of the three wrong with that chance."""
    if rng.random() < chance:
        facts = replace(facts, team=rng.choice([t for t in TEAMS if t != facts.team]))
    if rng.random() < chance:
        others = [p for p in PRIORITIES if p != facts.priority]
        facts = replace(facts, priority=rng.choice(others))
    if facts.number and rng.random() < chance:
        facts = replace(facts, number=rng.choice([None, _misread(facts.number, rng)]))
    return facts


def _misread(number: str, rng: random.Random) -> str:
    k = rng.randrange(len(number))
    digit = rng.choice([d for d in "123456789" if d != number[k]])
    return number[:k] + digit + number[k + 1 :]
