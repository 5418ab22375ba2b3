"""French social security numbers (NIR): thirteen places and their key."""

from __future__ import annotations

import re
from collections.abc import Iterator

from upturn.privacy.checks import french_nir
from upturn.privacy.detectors.base import SEPARATOR, Clue, Detector, Span, find_valid, plain

_S = f"{SEPARATOR}{{0,2}}"
_PATTERN = re.compile(
    rf"(?<![\w+])[1278]{_S}\d\d{_S}(?:0[1-9]|1[0-2]|[2-9]\d){_S}(?:\d\d|2[AaBb]){_S}\d{{3}}{_S}\d{{3}}"
    rf"(?:{SEPARATOR}{{0,3}}|[ ,(]{{1,2}}cl[ée][ :]{{0,3}})\d\d(?!\w)",
    re.IGNORECASE,
)


def _valid(match: re.Match[str]) -> bool:
    number = _number(match[0])
    return french_nir(number[:13], number[13:])


def _number(text: str) -> str:
    return re.sub(r"[^0-9AB]", "", re.sub(r"CL[ÉE]", "", plain(text)))


def _find(text: str) -> Iterator[Span]:
    return find_valid(_PATTERN, text, _valid)


DETECTOR = Detector(kind="FR_NIR", clue=Clue.LONG_NUMBER, find=_find, normal=_number, rank=42)
