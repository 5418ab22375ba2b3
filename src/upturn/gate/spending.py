"""How much error each look at a holdout may spend.

Look k may err with probability ``alpha * 2**-k``. The sum over all looks stays below ``alpha``, so
by the union bound the chance that any of them promotes a challenger that is no better stays below
``alpha``, however the looks depend on each other. Halving keeps power at the first look, where most
turns decide; a look that could err with less than ``SMALLEST`` would need a gain too large to be
worth the rows, so the budget then counts as spent.

The bound holds for challengers that were chosen without the answers of earlier looks. A verdict
leaks little about the rows and searches read dev alone, but people read reports: who tunes by hand
against one holdout weakens it, and only fresh data restores it. (Adaptive reuse: Dwork et al. 2015,
"The reusable holdout", Science 349; geometric spending: the alpha-spending idea of Lan and DeMets
1983, Biometrika 70.)
"""

from __future__ import annotations

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
