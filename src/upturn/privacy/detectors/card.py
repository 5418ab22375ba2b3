"""Payment cards: issued first digits, the brand's length, Luhn."""

from __future__ import annotations

import re
from collections.abc import Iterator

from upturn.privacy.checks import card_brand, luhn
from upturn.privacy.detectors.base import SEPARATOR, Clue, Detector, Span, digits_of
from upturn.privacy.words import said_before

_START = re.compile(r"(?<![\w])[2-6]")
_STRETCH = re.compile(rf"\d(?:(?:{SEPARATOR}{{0,3}}|_)\d){{11,18}}")


def _find(text: str) -> Iterator[Span]:
    at = 0
    while start := _START.search(text, at):
        end = _end(text, start.start())
        if end:
            yield start.start(), end
        at = end or start.end()


def _end(text: str, start: int) -> int:
    """Returns where the longest card number from here ends, or 0: an expiry date may follow it."""
    stretch = _STRETCH.match(text, start)
    if stretch is None:
        return 0
    ends = [i + 1 for i in range(start, stretch.end()) if text[i].isdigit()]
    digits = digits_of(stretch[0])
    for length in range(len(digits), 11, -1):
        end = ends[length - 1]
        if text[end : end + 1].isalnum() or not luhn(digits[:length]):
            continue
        if card_brand(digits[:length]) and not _is_order(text, start, end):
            return end
    return 0


def _is_order(text: str, start: int, end: int) -> bool:
    """One in ten long numbers passes Luhn; in one piece after *order*, it is an order's."""
    return text[start:end].isdigit() and said_before(text, start) == "order"


DETECTOR = Detector(kind="CARD", clue=Clue.LONG_NUMBER, find=_find, rank=40)
