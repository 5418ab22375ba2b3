"""How much error each look at a holdout may spend.

Look k may err with probability ``alpha * 2**-k``. The sum over all looks stays below ``alpha``, so
by the union bound the chance that any of them promotes a challenger that is no better stays below
``alpha``, however the looks depend on each other. Halving keeps power at the first look, where most
turns decide; a look that could err with less than ``SMALLEST`` would need a gain too large to be
worth the rows, so the budget then counts as spent.

A look is counted for the rows that it saw, whatever the holdout was called then: see ``overlap``.
The bound holds for challengers that were chosen without the answers of earlier looks. A verdict
leaks little about the rows and searches read dev alone, but people read reports: who tunes by hand
against one holdout weakens it. Later looks therefore tell little (see ``ladder``), and only fresh
data restores the bound. (Adaptive reuse: Dwork et al. 2015,
"The reusable holdout", Science 349; geometric spending: the alpha-spending idea of Lan and DeMets
1983, Biometrika 70.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from upturn.gate.overlap import SHARED

SMALLEST = 0.001


def look_alpha(alpha: float, number: int, *, spent: float = 0.0) -> float:
    """Returns the one-sided error level of look ``number`` (1, 2, …), 0.0 when nothing is left.

    Args:
        alpha: the error level of all looks at the holdout together.
        number: 1 for the first look at this holdout.
        spent: what earlier looks were given; holds the sum below ``alpha`` even where ``alpha``
            was lowered between two looks.
    """
    assert number >= 1, f"looks are counted from 1, got {number}"
    level = min(alpha * 0.5**number, alpha - spent)
    return level if level >= SMALLEST else 0.0


def first_level(alpha: float) -> float:
    """Returns the error level that a first look is planned with: all of an ``alpha`` whose half is
    too small for a look."""
    return look_alpha(alpha, 1) or alpha


def looks_affordable(alpha: float) -> int:
    """Returns how many looks at one holdout an error level pays for: 5 at 0.05."""
    number = 0
    while look_alpha(alpha, number + 1) > 0:
        number += 1
    return number


@dataclass(frozen=True, kw_only=True)
class Remaining:
    """What is left of a holdout's error budget.

    Attributes:
        alpha: the budget: the error level of all looks together.
        looks_taken, looks_left: looks that its rows have seen, and those that it still pays for.
        spent, left: error that the looks were given, and what later ones may be given at most.
        next_level: error level of the next look; 0 where the budget counts as spent.
        fresh_rows: of a holdout of the same size, the rows that no look may have seen for the
            budget to start anew; None where the size is not known.
    """

    alpha: float
    looks_taken: int
    looks_left: int
    spent: float
    left: float
    next_level: float
    fresh_rows: int | None = None

    @property
    def sentence(self) -> str:
        """The same in words, for people."""
        if self.looks_left:
            return (
                f"{self.looks_left} more looks of {self.looks_taken + self.looks_left}; "
                f"the next may err with {self.next_level:.4f}"
            )
        fresh = "fresh rows" if self.fresh_rows is None else f"{self.fresh_rows} fresh rows"
        return f"no look is left after {self.looks_taken}: bring {fresh} for a new holdout"


def remaining(alpha: float, *, looks: int, spent: float, rows: int | None = None) -> Remaining:
    """Tells what is left at a holdout.

    Args:
        alpha: the error level of all looks together, the config's ``gate.alpha``.
        looks, spent: what its rows have been through; ``overlap.exposure`` counts both.
        rows: rows of the holdout, where known.
    """
    levels: list[float] = []
    while level := look_alpha(alpha, looks + len(levels) + 1, spent=spent + sum(levels)):
        levels.append(level)
    return Remaining(
        alpha=alpha,
        looks_taken=looks,
        looks_left=len(levels),
        spent=spent,
        left=sum(levels),
        next_level=levels[0] if levels else 0.0,
        fresh_rows=None if rows is None else rows - math.floor(SHARED * rows),
    )
