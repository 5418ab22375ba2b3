"""Whether answers changed beyond their own noise: an exact test over a few canary rows.

Each row has some old answers and some new ones. If nothing changed, they are exchangeable: which
of a row's answers are the new ones is a draw without meaning. The statistic is how many pairs of an
old and a new answer differ, over all rows; its distribution is that of all such draws, row by row
(Fisher's randomization test). So a model whose answers vary by themselves, at a temperature above 0
or through its server, raises no alarm by that; and rows that always vary say nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeVar

#: Differences of scores are counted in thousandths, so that sums are whole and the test is exact.
_STEPS = 1000

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One canary row: what was said before, and what is said now.

    Attributes:
        old, new: an id of each answer's content; ``old_scores``, ``new_scores``: their scores.
    """

    old: tuple[str, ...]
    new: tuple[str, ...]
    old_scores: tuple[float, ...]
    new_scores: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What the canaries say.

    Attributes:
        rows: rows with old and new answers.
        changed: rows none of whose new answers was given before.
        p_value: of "nothing changed": twice the smaller of the p-values of answers and scores.
        found: whether that is at most the level.
        judged: whether the rows could have shown another model at this level at all.
    """

    rows: int
    changed: int
    p_value: float
    found: bool
    judged: bool


def drift(rows: Sequence[Asked], *, level: float) -> Drift:
    """Tests whether the new answers, or their scores, differ from the old beyond chance.

    Args:
        rows: those without an old or a new answer are passed over.
        level: chance of a false alarm, at most.
    """
    used = [r for r in rows if r.old and r.new]
    p_value = _both(used)
    return Drift(
        rows=len(used),
        changed=sum(not set(r.new) & set(r.old) for r in used),
        p_value=p_value,
        found=p_value <= level,
        judged=_both([_other(r) for r in used]) <= level,
    )


def _both(rows: Sequence[Asked]) -> float:
    answers = _p_value([((*r.old, *r.new), len(r.new)) for r in rows], _differs)
    scores = _p_value([((*r.old_scores, *r.new_scores), len(r.new)) for r in rows], _distance)
    return min(1.0, 2 * min(answers, scores))


def _other(row: Asked) -> Asked:
    """The row as it would be under another model that is as far away as can be."""
    mean = sum(row.old_scores) / len(row.old_scores)
    return replace(
        row, new=("",) * len(row.new), new_scores=(float(mean < 0.5),) * len(row.new_scores)
    )


def _differs(one: str, other: str) -> int:
    return int(one != other)


def _distance(one: float, other: float) -> int:
    return round(abs(one - other) * _STEPS)


def _p_value(rows: Sequence[tuple[Sequence[T], int]], apart: Callable[[T, T], int]) -> float:
    """The share of all draws in which old and new are at least as far apart as they are."""
    chance: dict[int, float] = {0: 1.0}
    seen = 0
    for values, new in rows:
        own = _draws(values, new, apart)
        seen += _between(values, frozenset(range(len(values) - new, len(values))), apart)
        total = sum(own.values())
        after: dict[int, float] = {}
        for so_far, p in chance.items():
            for step, n in own.items():
                after[so_far + step] = after.get(so_far + step, 0.0) + p * n / total
        chance = after
    return min(1.0, sum(p for value, p in chance.items() if value >= seen))


def _draws(values: Sequence[T], new: int, apart: Callable[[T, T], int]) -> Counter[int]:
    """The statistic of one row for every choice of which answers are the new ones."""
    places = range(len(values))
    return Counter(_between(values, frozenset(c), apart) for c in combinations(places, new))


def _between(values: Sequence[T], new: frozenset[int], apart: Callable[[T, T], int]) -> int:
    return sum(apart(values[i], values[j]) for i in new for j in range(len(values)) if j not in new)
