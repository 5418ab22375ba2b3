"""Private keys in PEM armour, also where the end of the armour is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from upturn.privacy.detectors.base import Clue, Detector, Span

_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_END = re.compile(r"-----END [A-Z0-9 ]{0,40}-----")


def _find(text: str) -> Iterator[Span]:
    at = 0
    while begin := _BEGIN.search(text, at):
        end = _END.search(text, begin.end())
        # Cut off: all that follows may be key. It also bounds the search: there is no second one.
        at = end.end() if end else len(text)
        yield begin.start(), at


DETECTOR = Detector(kind="PRIVATE_KEY", clue=Clue.BEGIN, find=_find, rank=10, in_ids=True)
