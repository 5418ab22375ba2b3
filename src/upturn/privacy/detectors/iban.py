"""IBANs: a country's length and mod 97, in groups or in one piece, in any case."""

from __future__ import annotations

import re
from collections.abc import Iterator

from upturn.privacy.checks import IBAN_LENGTHS, iban
from upturn.privacy.detectors.base import SEPARATOR, Clue, Detector, Span, plain

_START = re.compile(r"(?<![^\W_])[A-Za-z]{2}[ \t\u00a0.\-]?\d(?=[ \t]?\d)")


def _find(text: str) -> Iterator[Span]:
    at = 0
    while start := _START.search(text, at):
        length = IBAN_LENGTHS.get(start[0][:2].upper(), 0)
        end = _end(text, start.start(), length) if length else 0
        if end:
            yield start.start(), end
        at = end or start.start() + 1


def _end(text: str, start: int, length: int) -> int:
    """Returns the end of a valid IBAN of this length that begins here, or 0."""
    at, seen, gap = start, 0, 0
    while at < len(text) and seen < length and gap < 3:
        letter = text[at]
        if letter.isascii() and letter.isalnum():
            seen, gap = seen + 1, 0
        elif _SEPARATOR.match(letter):
            gap += 1
        else:
            return 0
        at += 1
    if seen < length or text[at : at + 1].isalnum() or not iban(plain(text[start:at])):
        return 0
    return at


_SEPARATOR = re.compile(SEPARATOR)

DETECTOR = Detector(
    kind="IBAN", clue=Clue.LONG_NUMBER | Clue.LONG_WORD, find=_find, rank=35, in_ids=True
)
