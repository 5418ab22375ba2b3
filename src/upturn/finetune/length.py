"""Length bias: whether preferences, and what was learned from them, come down to length.

Whoever picks the longer of two answers teaches length, and a model can learn that alone. Three
figures show it: how much longer the chosen answers of the data are; how the trained model ranks
unseen pairs whose chosen answer is much shorter, about as long, and much longer; and how long its
answers were before and after. A model that learned what was meant wins alike in all three thirds.

Lengths are tokens. Rates are fractions, intervals are 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from upturn.errors import DataError
from upturn.records import Json

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_Z = NormalDist().inv_cdf(0.975)
#: Pairs below which a correlation gets no interval: its standard error divides by n - 3.
_FEWEST = 4


def length_effect(
    margins: Sequence[float], chosen_lengths: Sequence[int], rejected_lengths: Sequence[int]
) -> dict[str, Json]:
    """Tells how the ranking of pairs goes with the difference in length, chosen minus rejected.

    Args:
        margins: one per pair, above 0 where the model prefers the chosen answer: DPO's difference
            of implicit rewards, or of log probabilities. A pair whose margin is no finite number
            is left out and counted.
        chosen_lengths, rejected_lengths: tokens of the two answers of each pair.

    Returns:
        ``pairs``, ``left_out``; ``chosen_longer`` (share of pairs, equal lengths count half) and
        ``mean_difference`` (tokens) of the data; ``win_rate`` over all; ``thirds``: ``shorter``,
        ``middle`` and ``longer`` chosen answers, each with ``pairs``, ``mean_difference``,
        ``win_rate`` and its ``interval`` (Wilson 1927), with None where a third is empty; ``gap``,
        the win rate of ``longer`` less that of ``shorter``, with ``gap_interval`` (Newcombe 1998,
        method 10); ``spearman`` of margin and difference with ``spearman_interval``; and ``bias``:
        "longer" or "shorter" where that interval leaves out 0, else "none shown".

    Raises:
        DataError: the three do not have one value a pair.
    """
    margins_P, chosen_P, rejected_P = (
        np.asarray(v, dtype=float) for v in (margins, chosen_lengths, rejected_lengths)
    )
    if not margins_P.shape == chosen_P.shape == rejected_P.shape:
        raise DataError(
            "margins and lengths must have one value a pair, "
            f"got {margins_P.size}, {chosen_P.size} and {rejected_P.size}"
        )
    kept_P = np.isfinite(margins_P)
    margins_P, differences_P = margins_P[kept_P], (chosen_P - rejected_P)[kept_P]
    thirds = _thirds(margins_P > 0, differences_P)
    rho, interval = spearman(margins_P, differences_P)
    return {
        "pairs": len(margins_P),
        "left_out": int((~kept_P).sum()),
        "chosen_longer": _mean((np.sign(differences_P) + 1) / 2),
        "mean_difference": _mean(differences_P),
        "win_rate": _mean(margins_P > 0),
        "thirds": thirds,
        **_gap(margins_P > 0, _groups(differences_P)),
        "spearman": rho,
        "spearman_interval": list(interval) if interval else None,
        "bias": _bias(interval),
    }


def length_change(before: Sequence[int], after: Sequence[int]) -> dict[str, Json]:
    """Tells how the length of generated answers changed, row by row.

    Args:
        before, after: tokens of the answers to the same inputs, in one order.

    Returns:
        ``rows``, mean ``before`` and ``after``, ``change`` (mean of the differences) and its
        ``interval`` (paired, Student's t), None for fewer than two rows.

    Raises:
        DataError: not as many before as after.
    """
    if len(before) != len(after):
        raise DataError(f"lengths must be of the same rows, got {len(before)} and {len(after)}")
    before_E, after_E = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    change_E, rows = after_E - before_E, len(before_E)
    interval: list[Json] | None = None
    if rows > 1:
        half = _student(rows - 1) * float(change_E.std(ddof=1)) / math.sqrt(rows)
        interval = [float(change_E.mean()) - half, float(change_E.mean()) + half]
    return {
        "rows": rows,
        "before": _mean(before_E),
        "after": _mean(after_E),
        "change": _mean(change_E),
        "interval": interval,
    }


def spearman(a: Floats, b: Floats) -> tuple[float | None, tuple[float, float] | None]:
    """Returns the rank correlation (ties share their mean rank) and its interval.

    The interval is Fisher's z with the standard error of Bonett and Wright (2000, "Sample size
    requirements for estimating Pearson, Kendall and Spearman correlations", Psychometrika 65):
    sqrt((1 + rho^2 / 2) / (n - 3)). None where a side is constant, or for fewer than four pairs.
    """
    ranks_a, ranks_b = _ranks(a), _ranks(b)
    if len(a) < _FEWEST or not (ranks_a.std() and ranks_b.std()):
        return None, None
    rho = float(np.clip(np.corrcoef(ranks_a, ranks_b)[0, 1], -1, 1))
    centre = math.atanh(max(min(rho, 1 - 1e-12), -1 + 1e-12))
    half = _Z * math.sqrt((1 + rho**2 / 2) / (len(a) - 3))
    return rho, (math.tanh(centre - half), math.tanh(centre + half))


def _ranks(values: Floats) -> Floats:
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[index]


def _groups(differences_P: Floats) -> tuple[Bools, Bools, Bools]:
    """Splits pairs at the thirds of the difference; equal differences stay together."""
    if not len(differences_P):
        none = np.zeros(0, dtype=bool)
        return none, none, none
    low, high = np.quantile(differences_P, [1 / 3, 2 / 3], method="inverted_cdf")
    shorter, longer = differences_P <= low, differences_P > high
    return shorter, ~(shorter | longer), longer


def _thirds(won_P: Bools, differences_P: Floats) -> dict[str, Json]:
    names = ("shorter", "middle", "longer")
    return {
        name: {
            "pairs": int(group.sum()),
            "mean_difference": _mean(differences_P[group]),
            "win_rate": _mean(won_P[group]),
            "interval": _wilson(int(won_P[group].sum()), int(group.sum())),
        }
        for name, group in zip(names, _groups(differences_P), strict=True)
    }


def _gap(won_P: Bools, groups: tuple[Bools, Bools, Bools]) -> dict[str, Json]:
    counts = [(int(won_P[g].sum()), int(g.sum())) for g in (groups[2], groups[0])]
    if not all(n for _, n in counts):
        return {"gap": None, "gap_interval": None}
    (longer, low_l, high_l), (shorter, low_s, high_s) = (
        (won / n, *_limits(won, n)) for won, n in counts
    )
    gap = longer - shorter
    return {
        "gap": gap,
        "gap_interval": [
            gap - math.hypot(longer - low_l, high_s - shorter),
            gap + math.hypot(high_l - longer, shorter - low_s),
        ],
    }


def _wilson(won: int, n: int) -> list[Json] | None:
    return list(_limits(won, n)) if n else None


def _limits(won: int, n: int) -> tuple[float, float]:
    share, z2 = won / n, _Z**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2)) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def _student(freedom: int) -> float:
    """Returns the .975 quantile of Student's t (Abramowitz and Stegun 26.7.5, four terms).

    Within 0.5 % from three degrees of freedom on; the first two are written out.
    """
    if freedom <= 2:
        return (12.7062, 4.3027)[freedom - 1]
    z, v = _Z, float(freedom)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / v ** (k + 1) for k, term in enumerate(terms))


def _mean(values: Floats | Bools) -> float | None:
    return float(values.mean()) if len(values) else None


def _bias(interval: tuple[float, float] | None) -> str:
    low, high = interval or (0.0, 0.0)
    return "longer" if low > 0 else "shorter" if high < 0 else "none shown"
