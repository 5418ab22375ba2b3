"""Passwords, keys and tokens that only the word before them gives away."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from upturn.privacy.detectors.base import Clue, Detector, Span

_WORDS = (
    r"pass(?:word|wd|code|phrase|wort)?|pwd|passwort|kennwort|mot[ \t]de[ \t]passe|mdp|"
    r"contrase(?:ñ|n)a|clave|clé|schlüssel|(?:api|access|secret|private|auth|license|licence)?"
    r"[ _\-]?(?:key|token|schlüssel)|(?:client)?[_\-]?secret|jeton|ficha|credentials?"
)
_GIVES = (
    r"(?P<gives>[ \t]{0,3}(?:(?:is|was|ist|war|lautet|est|es|era|était)\b[ \t]?:?|:=|=>|->|[:=])"
    r"|[ \t]\([^()\n]{0,12}\):?)"
)
_PATTERN = re.compile(
    rf"(?<![^\W_])(?:{_WORDS})(?:[ _](?:d'accès|d'API|api|de[ \t]acceso))?(?![^\W_])[\"'`]?"
    # Up to five words may stand between: "my password for the shop is …".
    rf"(?:(?:[ \t][^\W\d_]{{1,15}}){{0,5}}?{_GIVES}|[ \t])[ \t]{{0,3}}"
    r"[\"'`“«„]?(?P<value>[^\s\"'`“”«»„<>]{6,512})",
    re.IGNORECASE,
)
_TAIL = ".,;:)]}?"


def _find(text: str) -> Iterator[Span]:
    at = 0
    while match := _PATTERN.search(text, at):
        start, end = match.span("value")
        value = text[start:end].rstrip(_TAIL)
        given = match["gives"] is not None
        if _told(value) if given else _random(value):
            yield start, start + len(value)
            at = end
        else:
            at = match.start() + 1


def _told(value: str) -> bool:
    """A value that was given with "is" or a colon: letters and digits, or letters and signs."""
    letters = any(c.isalpha() for c in value)
    digits = any(c.isdigit() for c in value)
    signs = any(c in "!$%&*+#@^~" for c in value)
    return len(value) >= 6 and letters and (digits or signs) and "://" not in value


def _random(value: str) -> bool:
    """A value that nobody would type as a word: long, letters and digits, 3 bits a character."""
    if len(value) < 16 or not (any(map(str.isalpha, value)) and any(map(str.isdigit, value))):
        return False
    counts = Counter(value).values()
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
    return bits >= 3.0 and "://" not in value


DETECTOR = Detector(kind="SECRET", clue=Clue.SECRET_WORD, find=_find, normal=str, rank=60)
