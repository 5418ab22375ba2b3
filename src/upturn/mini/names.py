"""Names of classes: restyled, or made up so that only the context tells what they stand for."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

_CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # no I and no O: they read like 1 and 0
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_STEMS = ("class", "label", "type", "group", "queue", "team")

# Upper bound of a uniform draw -> the writing it stands for.
_WRITINGS: tuple[tuple[float, Callable[[str], str]], ...] = (
    (0.40, lambda s: s.replace(" ", "_")),
    (0.72, lambda s: s),
    (0.82, str.capitalize),
    (0.87, str.title),
    (0.95, lambda s: s.replace(" ", "-")),
    (1.00, lambda s: s.upper().replace(" ", "_")),
)


def restyle(rng: random.Random, names: Sequence[str]) -> list[str]:
    """Returns the names in one writing: snake_case, plain, Capitalized, Title, kebab, UPPER."""
    draw = rng.random()
    write = next(w for bound, w in _WRITINGS if draw < bound)
    return [write(n) for n in names]


def arbitrary(rng: random.Random, vocabulary: Sequence[str], count: int) -> list[str]:
    """Returns distinct names that mean nothing: codes, letters, numbered stems, random words."""
    draw = rng.random()
    if draw < 0.30:
        return _codes(rng, count)
    if draw < 0.36:
        return rng.sample(_LETTERS, count)
    if draw < 0.42:
        stem = rng.choice(_STEMS)
        return [f"{stem}_{k}" for k in range(1, count + 1)]
    length = 1 if draw < 0.68 else 2 if draw < 0.82 else 3 if draw < 0.92 else 4
    words = rng.sample(vocabulary, count * length)
    names = [" ".join(words[k * length : (k + 1) * length]) for k in range(count)]
    return restyle(rng, names)


def _codes(rng: random.Random, count: int) -> list[str]:
    shared, manner = rng.choice(_CODE_LETTERS), rng.random()
    hyphen = "-" if manner > 0.85 else ""
    codes: list[str] = []
    for number in rng.sample(range(1, 100), count):
        letter = shared if manner < 0.3 else rng.choice(_CODE_LETTERS)
        codes.append(f"{letter}{hyphen}{number}")
    return codes
