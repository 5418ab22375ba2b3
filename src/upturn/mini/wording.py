"""How instructions, definitions and messages are worded, at random."""

from __future__ import annotations

import random
from collections.abc import Sequence

_INPUTS = (
    "message text ticket query request question utterance input email chat review comment note "
    "document sentence post issue content customer_message user_input"
)
_OUTPUTS = (
    "team label queue category topic intent class answer type tag group kind department route "
    "result choice status reason subject area"
)
_SECOND_OUTPUTS = (
    "priority urgency tone sentiment channel language level stage flag severity product action "
    "style mood risk"
)
INPUTS, OUTPUTS, SECOND_OUTPUTS = (tuple(x.split()) for x in (_INPUTS, _OUTPUTS, _SECOND_OUTPUTS))
GOALS = (
    "Route the {i} to the right {o}.",
    "Given the {i}, choose the {o}.",
    "Classify the {i}.",
    "Read the {i} and pick the {o} that fits.",
    "Decide which {o} the {i} belongs to.",
    "Given the fields `{i}`, produce the fields `{o}`.",
    "Label each {i} with one {o}.",
    "What is the {o} of this {i}?",
    "You read each {i} and answer with its {o}.",
    "Assign the {o}.",
    "Pick exactly one {o} for the {i}.",
    "Find the best {o} for this {i}.",
)
ADVICE = (
    "Answer with one label only.",
    "Be careful.",
    "When two fit, take the more specific one.",
    "Use the exact name.",
    "Look at what the person wants.",
    "Read the whole text first.",
    "Do not guess.",
    "Think about the main point.",
)
_HELLOS = (
    "hi", "hello", "hi there,", "hey", "good morning,", "please help:", "dear team,",
    "hello, i have a question.",
)  # fmt: skip
_BYES = (
    "thanks", "thank you!", "please help", "can you help me?", "thanks in advance", "asap please",
    "any help appreciated", "cheers",
)  # fmt: skip
_EXAMPLES = ('for example "{}"', "such as: {}", "e.g. {}")
_ABOUT = (
    "{}",
    "about {}",
    "mentions {}",
    "anything with {}",
    "the person talks of {}",
    "words like {}",
)


def touch(rng: random.Random, text: str, lines: Sequence[str]) -> str:
    """Makes a text look like what people send: case, typing errors, greetings, a second sentence.

    Args:
        rng: where the choice comes from.
        text: at least one character.
        lines: where a second sentence comes from.
    """
    draw = rng.random()
    if draw < 0.45:
        return text
    if draw < 0.55:
        return text.lower()
    if draw < 0.68:
        end = "" if text[-1:] in ".?!" else rng.choice([".", "?", "!", ""])
        return text[:1].upper() + text[1:] + end
    if draw < 0.76 and len(text) > 8:
        return _mistype(rng, text)
    if draw < 0.84:
        return rng.choice(_HELLOS) + " " + text
    if draw < 0.91:
        return text + rng.choice([" ", ", ", ". "]) + rng.choice(_BYES)
    other = lines[rng.randrange(len(lines))]
    if len(other) > 90:
        return text
    return f"{text}. {other}" if rng.random() < 0.5 else f"{other} {text}"


def _mistype(rng: random.Random, text: str) -> str:
    for _ in range(rng.randint(1, 2)):
        p = rng.randrange(1, len(text) - 2)
        dropped_swapped_doubled = ["", text[p + 1] + text[p], text[p] * 2]
        text = text[:p] + rng.choice(dropped_swapped_doubled) + text[p + 1 :]
    return text


def define(
    rng: random.Random,
    name: str,
    *,
    keywords: Sequence[str],
    descriptions: Sequence[str],
    example: str | None,
) -> str:
    """Returns one definition of a class: a description, an example, or some of its keywords."""
    draw = rng.random()
    if descriptions and draw < 0.50:
        return rng.choice(descriptions)
    if example and draw < 0.62:
        return rng.choice(_EXAMPLES).format(example)
    words = rng.sample(keywords, min(len(keywords), rng.randint(1, 5)))
    if keywords and keywords[0] not in words and len(keywords) < 4:
        words = [*words, keywords[0]][-4:]  # of few keywords the first is what makes the class
    if not words:
        return name
    rng.shuffle(words)
    form = rng.choice(_ABOUT)
    if len(words) < 2 or rng.random() < 0.6:
        return form.format(", ".join(words))
    return form.format(", ".join(words[:-1]) + " or " + words[-1])


def window(rng: random.Random, text: str, word: str, hardness: float) -> str:
    """Returns some words of a text around one of them.

    Args:
        rng: where the cut comes from.
        text: holds the word.
        word: what must stay.
        hardness: 0 leaves mostly the word alone, 1 the whole text.
    """
    if hardness >= 1 or rng.random() < hardness * hardness:
        return text
    words = text.split()
    at = next((k for k, x in enumerate(words) if word in x.lower()), 0)
    wide = rng.random() < 0.3 + 0.7 * hardness
    around = rng.randint(0, 1 + int(12 * hardness)) if wide else 0
    before = rng.randint(0, around)
    return " ".join(words[max(0, at - before) : at + around - before + 1])
