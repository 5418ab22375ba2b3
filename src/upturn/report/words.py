"""What differs between two texts, word by word."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
#: With more pairs of equal words than this, texts are shown unmarked: the time grows with them.
MAX_PAIRS = 8_000
# Of two texts with less in common nothing is gained by marking every other word.
_ALIKE = 0.3

Mark = Literal["", "del", "ins"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A run of words; ``mark`` says whether only the one text has it, or only the other."""

    mark: Mark
    text: str


def word_diff(old: str, new: str) -> tuple[list[Part], list[Part]]:
    """Returns both texts in parts: what only the old one has is "del", only the new one "ins".

    Texts that have little in common are marked whole; long texts of few words, with more than
    ``MAX_PAIRS`` pairs of equal ones, are not marked.
    """
    if old == new:
        return _whole("", old), _whole("", new)
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    if _pairs(before, after) > MAX_PAIRS:
        return _whole("", old), _whole("", new)
    # Every second token is a blank: as an anchor it would cost most of the time and say nothing.
    matcher = difflib.SequenceMatcher(str.isspace, before, after, autojunk=False)
    if matcher.ratio() < _ALIKE:
        return _whole("del", old), _whole("ins", new)
    left: list[Part] = []
    right: list[Part] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        same = kind == "equal"
        left += _whole("" if same else "del", "".join(before[a:b]))
        right += _whole("" if same else "ins", "".join(after[c:d]))
    return left, right


def _pairs(before: Sequence[str], after: Sequence[str]) -> int:
    other = Counter(after)
    return sum(n * other[word] for word, n in Counter(before).items() if not word.isspace())


def _whole(mark: Mark, text: str) -> list[Part]:
    return [Part(mark=mark, text=text)] if text else []
