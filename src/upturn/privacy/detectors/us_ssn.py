"""United States social security numbers: 3-2-4 digits, or nine after the words that say so."""

from __future__ import annotations

import re
from collections.abc import Iterator

from upturn.privacy.detectors.base import Clue, Detector, Span, find_valid
from upturn.privacy.words import said_before

_S = r"[ \u00a0]?[ .\-\u2010\u2011\u2013\u00a0/_][ \u00a0]?"
_GROUPED = re.compile(
    rf"(?<![\w.\-])(?!000|666|9)\d{{3}}(?P<s>{_S})(?!00)\d\d(?P=s)(?!0000)"
    r"\d{4}(?![\w\-])(?!\.\d)"
)
_SAID = re.compile(
    r"(?:\bssn\b|social[ \t]security|seguridad[ \t]social|sozialversicherung\w{0,12}|"
    r"s[ée]curit[ée][ \t]sociale)[^\d\n]{0,24}(?P<n>(?!000|666|9)\d{3}[ \-]?\d\d[ \-]?\d{4})(?!\w)",
    re.IGNORECASE,
)


def _find(text: str) -> Iterator[Span]:
    yield from find_valid(_GROUPED, text, lambda m: said_before(text, m.start()) != "order")
    yield from find_valid(_SAID, text, lambda m: True, "n")


DETECTOR = Detector(kind="US_SSN", clue=Clue.LONG_NUMBER, find=_find, rank=44, in_ids=True)
