"""Spanish identity numbers: DNI and NIE with their control letter."""

from __future__ import annotations

import re
from collections.abc import Iterator

from upturn.privacy.checks import spanish_id
from upturn.privacy.detectors.base import Clue, Detector, Span, find_valid, plain
from upturn.privacy.words import said_before

_PATTERN = re.compile(
    r"(?<![\w.\-/])(?:[XYZxyz][ .\-]?\d[ .]?\d{3}[ .]?\d{3}|\d\d[ .]?\d{3}[ .]?\d{3})[ .\-/]{0,3}"
    r"[A-HJ-NP-TV-Za-hj-np-tv-z](?![\w])"
)


def _find(text: str) -> Iterator[Span]:

    def valid(match: re.Match[str]) -> bool:
        return spanish_id(plain(match[0])) and said_before(text, match.start()) != "order"

    return find_valid(_PATTERN, text, valid)


DETECTOR = Detector(kind="ES_ID", clue=Clue.LETTERED, find=_find, rank=45)
