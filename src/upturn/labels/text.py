"""How much of a text is left after an edit."""

from __future__ import annotations

from difflib import SequenceMatcher

#: Words that are compared in order; beyond them only the words count, whatever their order, so
#: that a long and hostile text costs no more than its length.
IN_ORDER = 400


def similarity(before: str, after: str) -> float:
    """Returns the share of words that two texts have in common, in [0, 1].

    Twice the words in common, in order, over the words of both. 1.0 for two empty texts.
    """
    a, b = before.split(), after.split()
    total = len(a) + len(b)
    if not total:
        return 1.0
    start = _common(a, b)
    end = _common(a[start:][::-1], b[start:][::-1])
    a, b = a[start : len(a) - end], b[start : len(b) - end]
    return 2 * (start + end + _matching(a, b)) / total


def _common(a: list[str], b: list[str]) -> int:
    """Returns how many words two lists begin with alike."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((n for n, (x, y) in pairs if x != y), min(len(a), len(b)))


def _matching(a: list[str], b: list[str]) -> float:
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    ratio = matcher.ratio if max(len(a), len(b)) <= IN_ORDER else matcher.quick_ratio
    return ratio() * (len(a) + len(b)) / 2 if a or b else 0
