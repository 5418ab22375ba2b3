"""Texts with personal items planted in them, and texts without any: the scrubber's examination.

Knows nothing of the detectors. Items are made valid from the public rules of each kind, and written
the ways people write them; texts are in English, German, French and Spanish.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.unit.privacy import items as made
from tests.unit.privacy.carriers import CARRIERS, LANGUAGES, SAID
from tests.unit.privacy.phones import phone


@dataclass(frozen=True, kw_only=True)
class Planted:
    """One text with one item in it."""

    kind: str
    language: str
    text: str
    item: str


_KINDS: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "card": ("card", made.card),
    "iban": ("account", made.iban),
    "us ssn": ("id", made.ssn),
    "de tax id": ("id", made.tax_id),
    "fr nir": ("id", made.nir),
    "es dni/nie": ("id", made.spanish),
    "uk nino": ("id", made.nino),
    "ip": ("ip", made.ip),
    "api key": ("key", made.api_key),
    "private key": ("none", made.pem),
    "password": ("secret", made.secret),
    "email": ("email", made.email),
}
#: Every kind that is planted.
KINDS = (*_KINDS, "phone", "url secret")


def planted(n: int, seed: int) -> list[Planted]:
    """Returns n texts with one item each, kinds and languages in equal shares."""
    rng = random.Random(seed)
    pairs = [(kind, language) for kind in KINDS for language in LANGUAGES]
    return [_plant(rng, *pairs[i % len(pairs)]) for i in range(n)]


def _plant(rng: random.Random, kind: str, language: str) -> Planted:
    carrier = rng.choice(CARRIERS[language])
    if kind == "url secret":
        whole, item = made.url_secret(rng)
        said = ""
    elif kind == "phone":
        whole = item = phone(rng, language)
        said = rng.choice(SAID["phone"][language])
    else:
        says, make = _KINDS[kind]
        whole = item = make(rng)
        said = rng.choice(SAID[says][language])
        if kind == "password":  # only the word before it gives it away
            carrier = next(c for c in rng.sample(CARRIERS[language], 8) if c.count("{item}") == 1)
    text = carrier.replace("{said}", said).replace("{item}", whole)
    return Planted(kind=kind, language=language, text=text, item=item.strip("<>"))


def survives(item: str, scrubbed: str) -> bool:
    """Tells whether five digits, or seven letters and digits, in a row can still be read.

    Blanks and punctuation do not hide anything: both sides are compared without them.
    """
    kept = "".join(filter(str.isalnum, scrubbed.lower()))
    core = "".join(filter(str.isalnum, item.lower()))
    size = min(5 if core.isdigit() else 7, len(core))
    return any(core[i : i + size] in kept for i in range(len(core) - size + 1))
