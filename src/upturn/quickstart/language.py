"""How a customer words an issue: openings, complaints, haste, typing errors, a second topic."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from upturn.quickstart.phrases import load, pick
from upturn.quickstart.world import Issue


@dataclass(frozen=True, kw_only=True)
class Voice:
    """How one customer writes, the same in all of their messages.

    Attributes:
        name: signs with it, where they sign.
        joint: what stands between two sentences.
        capitals: whether sentences begin with a capital letter.
        polite, talkative, careless: chances of a greeting or closing, of a sentence beside the
            point, and of typing errors.
    """

    name: str
    joint: str
    capitals: bool
    polite: float
    talkative: float
    careless: float


@dataclass(frozen=True, kw_only=True)
class Message:
    """A text with what is true of it: the team, the priority, the kind of issue."""

    text: str
    team: str
    priority: str
    issue: str


def draw_voice(rng: random.Random) -> Voice:
    return Voice(
        name=rng.choice(load("language")["names"]),
        joint=rng.choices([". ", ", ", "! ", " - ", " "], [60, 20, 6, 6, 8])[0],
        capitals=rng.random() < 0.55,
        polite=rng.choice([0.0, 0.06, 0.25]),
        talkative=rng.choice([0.0, 0.03, 0.15]),
        careless=rng.choice([0.0, 0.08, 0.35]),
    )


def compose(
    issue: Issue, voice: Voice, rng: random.Random, *, others: Sequence[Issue] = ()
) -> Message:
    """Words one message.

    Args:
        issue: what it is about; decides the team.
        voice: how its customer writes.
        rng: all chance.
        others: issues for a second topic; none where empty.
    """
    phrases: Mapping[str, Sequence[str]] = load("language")
    parts = [pick(issue.says, rng)]
    if rng.random() < 0.15:
        parts.append(pick(issue.asks, rng))
    for pool in ("complaints", "asides"):
        if rng.random() < voice.talkative:
            parts.insert(rng.randint(0, len(parts)), pick(phrases[pool], rng))
    if others and rng.random() < 0.04:
        second = pick(rng.choice(others).says, rng)
        parts.append(
            f"{rng.choice(['also', 'and by the way', 'besides,', 'other thing:'])} {second}"
        )
    priority = _haste(issue, parts, phrases, rng)
    _greet(parts, phrases, voice, rng)
    return Message(
        text=_style(parts, voice, rng), team=issue.team, priority=priority, issue=issue.name
    )


def _haste(
    issue: Issue, parts: list[str], phrases: Mapping[str, Sequence[str]], rng: random.Random
) -> str:
    """Adds what the customer says of haste, if anything; returns the rule's priority."""
    chance = rng.random()
    if chance < 0.12:
        cue, priority = "haste", "high"
    elif chance < 0.22:
        cue, priority = "leisure", "low"
    else:
        return issue.priority
    parts.insert(rng.choice([0, len(parts), len(parts)]), pick(phrases[cue], rng))
    return priority


def _greet(
    parts: list[str], phrases: Mapping[str, Sequence[str]], voice: Voice, rng: random.Random
) -> None:
    if rng.random() < voice.polite:
        parts.insert(0, pick(phrases["openings"], rng))
    if rng.random() < voice.polite:
        parts.append(rng.choice([pick(phrases["closings"], rng), voice.name]))


def _style(parts: Sequence[str], voice: Voice, rng: random.Random) -> str:
    text = "".join(
        part + ("" if k == len(parts) - 1 else _joint(part, voice, rng))
        for k, part in enumerate(parts)
    )
    if voice.capitals:
        text = re.sub(r"(^|[.!?] )([a-z])", lambda m: m[1] + m[2].upper(), text)
        text = re.sub(r"\bi('|\b)", r"I\1", text)
    if rng.random() < voice.careless:
        text = mistype(text, rng)
    return text + _ending(text, rng)


def _joint(part: str, voice: Voice, rng: random.Random) -> str:
    if part.endswith("?"):
        return " "
    return voice.joint if rng.random() < 0.75 else rng.choice([". ", ", ", ". ", "... "])


def _ending(text: str, rng: random.Random) -> str:
    if text[-1] in ".?!":
        return ""
    return rng.choices(["", ".", "!", "!!", "..."], [52, 38, 6, 2, 2])[0]


def mistype(text: str, rng: random.Random) -> str:
    """Returns the text with one or two letters dropped, doubled or swapped."""
    for _ in range(rng.choice([1, 1, 2])):
        spots = [k for k in range(1, len(text) - 1) if text[k].isalpha() and text[k + 1].isalpha()]
        if not spots:
            return text
        k = rng.choice(spots)
        here, after = text[k], text[k + 1]
        text = text[:k] + rng.choice([after, here * 2 + after, after + here]) + text[k + 2 :]
    return text
