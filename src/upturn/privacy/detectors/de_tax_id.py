"""German tax ids (Steuer-ID): eleven digits with their check digit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from upturn.privacy.checks import german_tax_id
from upturn.privacy.detectors.base import SEPARATOR, Clue, Detector, Span, digits_of, find_valid

_PATTERN = re.compile(
    rf"(?<![\w+])[1-9]\d{SEPARATOR}{{0,2}}\d{{3}}{SEPARATOR}{{0,2}}\d{{3}}{SEPARATOR}{{0,2}}\d{{3}}(?!\w)"
)


def _find(text: str) -> Iterator[Span]:
    return find_valid(_PATTERN, text, lambda m: german_tax_id(digits_of(m[0])))


DETECTOR = Detector(kind="DE_TAX_ID", clue=Clue.LONG_NUMBER, find=_find, rank=43)
