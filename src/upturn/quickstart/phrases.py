"""Phrases with choices: ``{a|b}`` picks one and nests, ``<slot>`` is filled in."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

_CHOICE = re.compile(r"\{([^{}]*)\}")
_SLOT = re.compile(r"<(\w+)>")
_FILES = Path(__file__).parent / "files"


@cache
def load(name: str) -> Any:
    """Returns one of this package's YAML files; shared, so not to be changed."""
    import yaml

    return yaml.safe_load((_FILES / f"{name}.yaml").read_text(encoding="utf-8"))


def expand(phrase: str, rng: random.Random) -> str:
    """Returns one reading of a phrase, with tidy blanks before punctuation."""
    while (match := _CHOICE.search(phrase)) is not None:
        chosen = rng.choice(match.group(1).split("|"))
        phrase = phrase[: match.start()] + chosen + phrase[match.end() :]
    text = _SLOT.sub(lambda m: _fill(m.group(1), rng), phrase)
    return re.sub(r"\s+([,.?!])", r"\1", re.sub(r"\s+", " ", text)).strip(" ,")


def pick(phrases: Sequence[str], rng: random.Random) -> str:
    """Returns one reading of one of the phrases."""
    return expand(rng.choice(phrases), rng)


def _fill(slot: str, rng: random.Random) -> str:
    if slot in _MADE:
        return _MADE[slot](rng)
    words: Mapping[str, Sequence[str]] = load("language")["words"]
    return rng.choice(words[slot])


def _order(rng: random.Random) -> str:
    # Most people say "my order"; some copy the number.
    if rng.random() < 0.7:
        return rng.choice(["my order", "my order", "the order", "our last order"])
    return f"order {rng.choice(['', '', '#', 'no. '])}{rng.randint(20_000, 99_999)}"


def _amount(rng: random.Random) -> str:
    whole, cents = rng.randint(9, 480), rng.choice([0, 50, 90, 95, 99])
    return rng.choice(
        [f"${whole}.{cents:02d}", f"{whole}.{cents:02d} eur", f"${whole}", f"{whole} euros"]
    )


def _number(rng: random.Random) -> str:
    words = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    return rng.choice([*words, str(rng.randint(3, 20))])


def _code(rng: random.Random) -> str:
    return f"{rng.choice(['E', 'e', '', ''])}{rng.randint(2, 60)}"


def _email(rng: random.Random) -> str:
    name = rng.choice(load("language")["names"]).replace(" ", ".").replace("..", ".")
    digits, host = rng.choice(["", rng.randrange(99)]), rng.choice(["mail", "post", "home"])
    return f"{name}{digits}@{host}.example"


_MADE: Mapping[str, Callable[[random.Random], str]] = {
    "order": _order,
    "amount": _amount,
    "n": _number,
    "code": _code,
    "email": _email,
}
