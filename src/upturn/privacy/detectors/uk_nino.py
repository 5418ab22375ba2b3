"""British national insurance numbers: two letters, six digits, one letter."""

from __future__ import annotations

import re
from collections.abc import Iterator

from upturn.privacy.detectors.base import Clue, Detector, Span, find_valid
from upturn.privacy.words import said_before

_S = r"[ \t\u00a0.\-/]{0,2}"
_PATTERN = re.compile(
    rf"(?<![\w\-])(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z]{_S}[A-CEGHJ-NPR-TW-Z]{_S}"
    rf"(?:\d{_S}){{6}}[A-D](?![\w])",
    re.IGNORECASE,
)


def _find(text: str) -> Iterator[Span]:
    def valid(match: re.Match[str]) -> bool:
        return not _is_date(match) and said_before(text, match.start()) != "order"

    return find_valid(_PATTERN, text, valid)


def _is_date(match: re.Match[str]) -> bool:
    """Spanish "el 11/12/25 a las" has the letters of one: apart from digits that have signs."""
    head, tail = match[0][2:4], match[0][4:]
    return head[:1] == " " and any(sign in tail for sign in "./-")


DETECTOR = Detector(kind="UK_NINO", clue=Clue.LETTERED, find=_find, rank=45)
