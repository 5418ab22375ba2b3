"""Several questions, one error level: Holm's step-down correction.

Of m hypotheses the one with the smallest p-value is held against level / m, the next against
level / (m - 1), and so on; the first that is not rejected ends it. The chance of any false
rejection is at most the level, however the tests depend on each other (Holm 1979, "A simple
sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6).
"""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Returns the adjusted p-values, in the order of the given ones.

    A hypothesis is rejected at any level that its adjusted p-value does not exceed. Lowering one
    p-value raises none of the adjusted ones.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(largest, 1.0)
    return tuple(adjusted)
