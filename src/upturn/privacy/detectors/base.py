"""What a detector of one kind of personal item is.

To add a kind: write a file in this folder that ends with ``DETECTOR = Detector(...)``. It is found
by itself. Keep every pattern bounded (no ``+`` or ``*`` inside a repeated group): the texts come
from strangers, and a test runs every detector over a megabyte of each hostile shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

Span = tuple[int, int]

#: What may stand between the digits of a number: blanks, dots, dashes, slashes.
SEPARATOR = r"[ \t\u00a0\u2009\u202f.\-\u2010\u2011\u2013/]"
_BETWEEN = re.compile(r"[\s.\-\u2010\u2011\u2013/()+]+")


class Clue:
    """What a glance at a text shows: bits of an int, because adding enums would cost more than the
    glance. A detector is asked only where one of its clues is there."""

    AT: Final = 1  # an @, or a spelled-out one
    NUMBER: Final = 2  # digits that may be a telephone's
    LONG_NUMBER: Final = 4  # nine digits and more, close together
    DOTTED: Final = 8  # 1.2.3 with three dots
    COLONS: Final = 16  # two colons and a hex digit
    LONG_WORD: Final = 32  # sixteen and more characters without a blank
    SECRET_WORD: Final = 64  # password, key, token and their like
    BEGIN: Final = 128  # -----BEGIN
    URL: Final = 256  # :// or a query
    LETTERED: Final = 512  # six digits and more that a single letter follows


def plain(text: str) -> str:
    """Returns the normal form of most items: capitals, without blanks and punctuation."""
    return _BETWEEN.sub("", text).upper()


@dataclass(frozen=True, kw_only=True)
class Detector:
    """Finds one kind of item.

    Attributes:
        kind: name in the mark, such as ``"EMAIL"``.
        clue: asked only for texts that show one of these.
        find: text -> spans of items, in any order. Time linear in the text.
        normal: item -> the form under which two spellings are one item.
        rank: of two kinds that claim the same characters, the lower rank gets them.
        in_ids: whether ids may hold such an item. Numbers without a sign are left alone there.
    """

    kind: str
    clue: int
    find: Callable[[str], Iterable[Span]]
    normal: Callable[[str], str] = plain
    rank: int = 50
    in_ids: bool = False


def find_valid(
    pattern: re.Pattern[str],
    text: str,
    valid: Callable[[re.Match[str]], bool],
    group: str | int = 0,
) -> Iterator[Span]:
    """Yields the matches that are valid. Where one is not, the next may begin inside it."""
    at = 0
    while match := pattern.search(text, at):
        if valid(match):
            yield match.span(group)
            at = match.end()
        else:
            at = match.start() + 1


def digits_of(text: str) -> str:
    """Returns the digits of a text."""
    return "".join(filter(str.isdigit, text))
