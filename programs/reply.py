"""Answers a support message in a sentence or two: who takes it, and by when.

Run by ``configs/reply.yaml``. Needs DSPy and nothing of Upturn.
"""

from __future__ import annotations

import re
from typing import Any

import dspy

TEAMS = ("Technical", "Returns", "Sales", "Billing", "Delivery", "Account")
#: Up to this many words an answer is short; from twice as many on it is long.
SHORT_WORDS = 24
#: What nobody may promise in writing; each takes half of the score.
BANNED = (
    r"guarantee(?:d|s)?",
    r"promise(?:d|s)?",
    r"full refund",
    r"(?:money|refund(?:ed)?) (?:back )?(?:today|at once|right away)",
    r"free of charge",
    r"100 ?(?:%|percent)",
    r"never happen(?:s)? again",
)

_TEAM = re.compile(r"\b(" + "|".join(TEAMS) + r")\b")
_WHEN = re.compile(
    r"\b(today|tonight|tomorrow|this week|next week|(?:with)?in (?:an?|one|two|three|\d+)"
    r" (?:hours?|days?|weeks?)|by (?:mon|tues|wednes|thurs|fri|satur|sun)day)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<!\d)\d{5}(?!\d)")
_BANNED = [re.compile(rf"\b{pattern}(?!\w)", re.IGNORECASE) for pattern in BANNED]
_PLACEHOLDER = re.compile(
    r"\[[^\[\]]{0,40}\]|\{[^{}]{0,40}\}|<[^<>]{0,40}>|\b(?:TBD|TODO|XXX+)\b|_{3,}"
)
_STUTTER = re.compile(r"(\S{2,20}?)(?:\W*\1){3,}", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class Reply(dspy.Signature):
    """Answer the message: which team (Technical, Returns, Sales, Billing, Delivery or Account)
    will check which order, and when it answers (today, within two days or this week)."""

    message: str = dspy.InputField()
    answer: str = dspy.OutputField()


class ReplyWriter(dspy.Module):
    """One call of the language model for each message."""

    def __init__(self) -> None:
        super().__init__()
        self.write = dspy.Predict(Reply)

    def forward(self, message: str) -> dspy.Prediction:
        return self.write(message=message)


def metric(
    example: Any, prediction: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
) -> dict[str, float | None]:
    """Scores one answer in [0, 1], by rules alone: ``facts * clean * (.6 + .2 form + .2 length)``.

    - ``facts``: share held of what the label's answer says: the team, the deadline, and the order
      numbers, where it quotes any of the message. Held means that and no other: an answer that
      lists all teams holds none. A label without any fact scores nobody (None).
    - ``clean``: halved for each banned promise and each order number that is not in the message.
    - ``form``: 0 with a placeholder, a stutter, a sentence said twice, or over three sentences.
    - ``length``: 1 up to ``SHORT_WORDS`` words, down to 0 at twice as many.

    Nothing is earned by more text: form, length and clean only fall as words are added, and they
    scale the facts instead of adding to them, so that an empty or a merely polite answer gets 0.
    """
    text, label = str(prediction.answer), str(example.answer)
    known = set(_NUMBER.findall(str(example.message)))
    held = _facts(text, label, known)
    if not held:
        return {"score": None}
    parts = {
        "facts": sum(held.values()) / len(held),
        "clean": 0.5 ** (_promises(text) + len(set(_NUMBER.findall(text)) - known)),
        "form": float(_well_formed(text)),
        "length": min(1.0, max(0.0, 2 - len(text.split()) / SHORT_WORDS)),
    }
    style = 0.6 + 0.2 * parts["form"] + 0.2 * parts["length"]
    return {"score": parts["facts"] * parts["clean"] * style, **parts, **held}


def _facts(text: str, label: str, known: set[str]) -> dict[str, float]:
    """Returns kind of fact -> whether the text holds what the label says; only kinds it speaks of.

    Order numbers that the label made up are no facts: no answer could know them.
    """
    wanted = {
        "team": set(_TEAM.findall(label)),
        "when": {w.lower() for w in _WHEN.findall(label)},
        "order": set(_NUMBER.findall(label)) & known,
    }
    found = {
        "team": set(_TEAM.findall(text)),
        "when": {w.lower() for w in _WHEN.findall(text)},
        "order": set(_NUMBER.findall(text)),
    }
    return {kind: float(found[kind] == values) for kind, values in wanted.items() if values}


def _promises(text: str) -> int:
    return sum(len(pattern.findall(text)) for pattern in _BANNED)


def _well_formed(text: str) -> bool:
    pieces = [piece.strip().lower() for piece in _SENTENCE_END.split(text)]
    sentences = [piece.rstrip(".!?") for piece in pieces if piece.endswith((".", "!", "?"))]
    return (
        len(sentences) == len(set(sentences)) <= 3
        and not _PLACEHOLDER.search(text)
        and not _STUTTER.search(text)
    )
