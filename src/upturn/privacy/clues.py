"""A glance at a text: which detectors are worth asking. Most texts show nothing, and cost nothing.

Every check is one pass of C code with bounded look-ahead, so that a clean message of 200 characters
takes about a microsecond.
"""

from __future__ import annotations

import re

from upturn.privacy.detectors.base import SEPARATOR, Clue
from upturn.privacy.words import said_before

_ANY = re.compile(r"[0-9@\uff20]|-----B|::")
_GAP = rf"(?:{SEPARATOR}|[()_]){{0,3}}"
_NUMBER = re.compile(rf"\d(?:{_GAP}\d){{5,20}}+")
_LONG_NUMBER = re.compile(rf"\d(?:{_GAP}\d){{8}}")
_CORSICA = ("A", "B", "a", "b")
_LETTER = re.compile(r"[ \t\u00a0.\-/]{0,3}[A-Za-z](?!\w)")
_DATE = re.compile(
    r"(?:19|20)\d\d[.\-/]\d{1,2}[.\-/]\d{1,2}|\d{1,2}[.\-/]\d{1,2}[.\-/](?:19|20)\d\d"
)
_DOTTED = re.compile(r"\.\d{1,3}\.\d")
_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
_BRACKET_AT = re.compile(r"[\[({][ \t]?(?:at|@|arroba|chez)[ \t]?[\])}]", re.IGNORECASE)
_SECRET_WORDS = (
    *("pass", "pwd", "kennwort", "mdp", "contrase", "clave", "clé", "schlüssel", "key", "token"),
    *("secret", "jeton", "ficha", "credential"),
)


def clues(text: str) -> int:
    """Returns what a text shows."""
    if _ANY.search(text) is None:
        return _wordy(text)
    found = _wordy(text)
    if "@" in text or "\uff20" in text:
        found |= Clue.AT
    if "://" in text or "=" in text:
        found |= Clue.URL
    for stretch in _NUMBER.finditer(text):
        found |= _number(text, stretch.start(), stretch.end())
    if "." in text and _DOTTED.search(text):
        found |= Clue.DOTTED
    if ":" in text and _COLONS.search(text):
        found |= Clue.COLONS
    if "-----BEGIN" in text:
        found |= Clue.BEGIN
    if max(map(len, text.split()), default=0) >= 16:
        found |= Clue.LONG_WORD
    return found


def _number(text: str, start: int, end: int) -> int:
    """What six digits and more, close together, may be. Most are orders and dates."""
    stretch = text[start:end]
    found = Clue.LETTERED if _LETTER.match(text, end) else 0
    if stretch.isdigit():
        if end - start >= 9:
            found |= Clue.LONG_NUMBER
        signed = stretch[0] == "0" or text[start - 1 : start] == "+"
        if end - start >= 7 and (signed or said_before(text, start) == "phone"):
            found |= Clue.NUMBER
    elif not _DATE.fullmatch(stretch):
        found |= Clue.NUMBER
        if _LONG_NUMBER.match(text, start):
            found |= Clue.LONG_NUMBER
    # French numbers of Corsica hold a letter: 2A or 2B stands for the department.
    if stretch[-1] == "2" and text[end : end + 1] in _CORSICA:
        found |= Clue.LONG_NUMBER
    return found


def _wordy(text: str) -> int:
    """What can be told without a digit: secrets made of letters and signs, spelled-out e-mails."""
    lower = text.lower()
    found = 0
    for word in _SECRET_WORDS:
        if word in lower:
            found = Clue.SECRET_WORD
            break
    if ("(" in text or "[" in text or "{" in text) and _BRACKET_AT.search(text):
        found |= Clue.AT
    if "=" in text and "?" in text:
        found |= Clue.URL
    return found
