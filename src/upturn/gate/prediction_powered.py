"""A judge scored all rows, people some: the effect that people would see, and its interval.

Let y be the difference of challenger and champion by people's scores, known on n labelled rows, and
f the difference by the judge's, known there and on N rows besides. For any lambda

    lambda * mean_N(f) + mean_n(y - lambda * f)

has the mean of y as its expectation, whatever the judge is worth, if the labelled rows are a random
part of all rows (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic 2023, "Prediction-powered
inference", Science 382). The lambda that makes its variance smallest is estimated: a good judge
gets a lambda near 1 and a shorter interval, a bad one a lambda near 0 and that of people alone
(Angelopoulos, Duchi and Zrnic 2023, "PPI++"). Rows come in groups that hold both kinds of rows, so
the variance is that of the groups' parts in the estimate; where each row is its own group it is
PPI++'s, and so is lambda.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]

#: With fewer labelled groups than this there is an effect and no interval, and nothing is judged.
MIN_GROUPS = 20


@dataclass(frozen=True, kw_only=True)
class Powered:
    """The effect that people would see.

    Attributes:
        rows, groups: labelled rows, and the groups they fall in.
        judged: rows with the judge's scores alone.
        effect, low, high: by prediction-powered inference; no interval below ``MIN_GROUPS``.
        weight: lambda, the judge's part in it: 0 none, 1 full.
        alone, alone_low, alone_high: by people's scores alone, for comparison.
    """

    rows: int
    groups: int
    judged: int
    effect: float
    low: float | None
    high: float | None
    weight: float
    alone: float
    alone_low: float | None
    alone_high: float | None

    @property
    def sentence(self) -> str:
        """The effect with its interval, in words; without one, why there is none."""
        if self.low is None or self.high is None:
            return (
                f"{self.rows} rows in {self.groups} groups have a person's score; from "
                f"{MIN_GROUPS} groups on the judge is held against them."
            )
        return (
            f"By people's scores of {self.rows} rows the effect is {self.effect:+.3f} "
            f"[{self.low:+.3f}, {self.high:+.3f}], with the judge's part weighed {self.weight:.2f}."
        )


def powered(
    judge: Sequence[float],
    human: Sequence[float | None],
    groups: Sequence[str],
    weights: Sequence[float] | None = None,
    *,
    level: float,
    broken: Sequence[bool] | None = None,
) -> Powered | None:
    """Estimates the mean of people's differences from some of them and all of the judge's.

    Args:
        judge: the judge's difference of every row (E).
        human: people's, or None where nobody looked (E).
        groups: what rows must not be taken as independent of (E).
        weights: of the rows (E); None where all count the same.
        level: one-sided error level of the interval's ends.
        broken: rows on which both answers are broken (E), so that people's difference is 0 and
            nobody scores them. They count as labelled in the share in which other rows are.

    Returns:
        None where no row is labelled.
    """
    broken_E = np.zeros(len(judge), dtype=bool) if broken is None else np.asarray(broken, bool)
    labelled_E = np.array([h is not None for h in human], dtype=bool) & ~broken_E
    weights_E = np.ones(len(judge)) if weights is None else np.asarray(weights, float)
    if not weights_E[labelled_E].sum() > 0:
        return None
    # Were they left out, labelled rows would be no random part, and the effect too far from 0.
    asked = float(weights_E[labelled_E].sum() / weights_E[~broken_E].sum())
    seen_E = np.where(broken_E, asked, labelled_E)
    index_E = np.unique(np.asarray(groups), return_inverse=True)[1]
    judge_E = np.asarray(judge, float)
    human_E = np.array([0.0 if h is None else h for h in human])
    people, by_people_G = _mean(human_E, weights_E * seen_E, index_E)
    there, there_G = _mean(judge_E, weights_E * seen_E, index_E)
    labelled_groups = len(set(index_E[labelled_E].tolist()))
    effect, by_both_G, weight = people, by_people_G, 0.0
    if (weights_E * (1 - seen_E)).sum() > 0:
        rest, rest_G = _mean(judge_E, weights_E * (1 - seen_E), index_E)
        shift_G = rest_G - there_G
        weight = _best(by_people_G, shift_G)
        effect = people + weight * (rest - there)
        by_both_G = by_people_G + weight * shift_G
    reach = float(stdtrit(labelled_groups - 1, 1 - level)) if labelled_groups > 1 else math.inf
    few = labelled_groups < MIN_GROUPS
    low, high = (None, None) if few else _limits(effect, by_both_G, reach)
    alone_low, alone_high = (None, None) if few else _limits(people, by_people_G, reach)
    return Powered(
        rows=int(labelled_E.sum()),
        groups=labelled_groups,
        judged=int((~labelled_E).sum()),
        effect=effect,
        low=low,
        high=high,
        weight=weight,
        alone=people,
        alone_low=alone_low,
        alone_high=alone_high,
    )


def _mean(values_E: Floats, weights_E: Floats, index_E: NDArray[np.int64]) -> tuple[float, Floats]:
    """A weighted mean, and each group's part in its deviation (axis G, sums to 0)."""
    whole = float(weights_E.sum())
    mean = float(values_E @ weights_E) / whole
    parts_E = weights_E * (values_E - mean) / whole
    parts_G = np.bincount(index_E, weights=parts_E, minlength=int(index_E.max()) + 1)
    return mean, parts_G.astype(np.float64)


def _best(people_G: Floats, shift_G: Floats) -> float:
    """The lambda in [0, 1] with the least variance of ``people + lambda * shift``."""
    spread = float(shift_G @ shift_G)
    return min(max(-float(people_G @ shift_G) / spread, 0.0), 1.0) if spread > 0 else 0.0


def _limits(effect: float, parts_G: Floats, reach: float) -> tuple[float, float]:
    """The effect -+ reach standard errors, robust to correlation within groups, in [-1, 1]."""
    groups = int(np.count_nonzero(parts_G)) or 1
    error = math.sqrt(float(parts_G @ parts_G) * groups / max(groups - 1, 1))
    return max(effect - reach * error, -1.0), min(effect + reach * error, 1.0)
