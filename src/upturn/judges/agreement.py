"""Agreement of a judge with people beyond chance: Cohen's kappa and its interval.

kappa = (P_o - P_e) / (1 - P_e): P_o is the agreement seen, P_e what two raters with these margins
would reach by chance (Cohen 1960, "A coefficient of agreement for nominal scales", Educational and
Psychological Measurement 20). With weights, two verdicts that are near each other agree in part
(Cohen 1968, "Weighted kappa", Psychological Bulletin 70).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from upturn.records import Json

Floats = NDArray[np.float64]
#: A number in [0, 1], or a word that has no order.
Verdict = float | str
Weights = Literal["none", "linear", "quadratic"]

#: Level of the interval, two-sided; and the resamples behind it where rows come in groups.
CONFIDENCE, DRAWS = 0.95, 2000


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How well a judge agrees with people.

    Attributes:
        kappa: 1 is full agreement, 0 what chance gives; None where it is 0/0, because both gave one
            and the same verdict everywhere.
        low, high: interval at ``CONFIDENCE``; None with kappa.
        rows, groups: pairs of verdicts, and the groups that they fall in.
        observed, expected: P_o and P_e; weighted where the verdicts are.
        interval: how the interval was made: "large sample" or "cluster bootstrap".
    """

    kappa: float | None
    low: float | None
    high: float | None
    rows: int
    groups: int
    observed: float
    expected: float
    interval: str

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def agreement(
    judge: Sequence[Verdict],
    human: Sequence[Verdict],
    groups: Sequence[str],
    *,
    weights: Weights = "none",
    seed: int = 0,
) -> Agreement:
    """Returns kappa of two raters over the same rows.

    The interval is kappa -+ z times its large-sample standard error (Fleiss, Cohen and Everitt
    1969, "Large sample standard errors of kappa and weighted kappa", Psychological Bulletin 72).
    Where a group holds more than one row, it is the percentile interval of a bootstrap that draws
    whole groups (Field and Welsh 2007, JRSS-B 69); a draw without two verdicts counts as 0.

    Args:
        judge, human: their verdicts; all numbers or all words.
        groups: what rows must not be taken as independent of.
        weights: of disagreement, by the distance between numbers: none, linear, quadratic.
        seed: of the bootstrap.
    """
    assert len(judge) == len(human) == len(groups) > 0, "one verdict of each for every row"
    levels = sorted({*judge, *human}, key=lambda v: (isinstance(v, str), v))
    place = {level: index for index, level in enumerate(levels)}
    rows_E = np.array([place[v] for v in judge])
    columns_E = np.array([place[v] for v in human])
    weights_KK = _weights(levels, weights)
    names = sorted(set(groups))
    observed, expected, kappa, error = _kappa(rows_E, columns_E, weights_KK)
    low, high, how = None, None, "large sample"
    if kappa is not None and len(names) < len(groups):
        at = {name: index for index, name in enumerate(names)}
        groups_E = np.array([at[g] for g in groups])
        low, high = _bootstrap(rows_E, columns_E, groups_E, weights_KK, seed)
        how = "cluster bootstrap"
    elif kappa is not None:
        reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * error
        low, high = max(kappa - reach, -1.0), min(kappa + reach, 1.0)
    return Agreement(
        kappa=kappa,
        low=low,
        high=high,
        rows=len(judge),
        groups=len(names),
        observed=observed,
        expected=expected,
        interval=how,
    )


def _weights(levels: Sequence[Verdict], kind: Weights) -> Floats:
    """Agreement of each pair of levels (KK): 1 on the diagonal, 0 for those farthest apart."""
    if kind == "none" or len(levels) < 2:
        return np.eye(len(levels))
    values = np.array([float(v) for v in levels])
    distance_KK = np.abs(values[:, None] - values[None, :])
    if kind == "quadratic":
        distance_KK = distance_KK**2
    return 1 - distance_KK / distance_KK.max()


def _kappa(
    rows_E: NDArray[np.int64], columns_E: NDArray[np.int64], weights_KK: Floats
) -> tuple[float, float, float | None, float]:
    """Returns P_o, P_e, kappa and its standard error."""
    levels, n = len(weights_KK), len(rows_E)
    share_KK = np.zeros((levels, levels))
    np.add.at(share_KK, (rows_E, columns_E), 1 / n)
    judge_K, human_K = share_KK.sum(axis=1), share_KK.sum(axis=0)
    observed = float((weights_KK * share_KK).sum())
    expected = float(judge_K @ weights_KK @ human_K)
    if 1 - expected < 1e-12:
        return observed, expected, None, math.nan
    kappa = (observed - expected) / (1 - expected)
    # Mean weight of each of a rater's verdicts under the other's margins.
    row_K, column_K = weights_KK @ human_K, judge_K @ weights_KK
    spread_KK = weights_KK - (row_K[:, None] + column_K[None, :]) * (1 - kappa)
    variance = float((share_KK * spread_KK**2).sum()) - (kappa - expected * (1 - kappa)) ** 2
    return observed, expected, kappa, math.sqrt(max(variance, 0.0) / n) / (1 - expected)


def _bootstrap(
    rows_E: NDArray[np.int64],
    columns_E: NDArray[np.int64],
    groups_E: NDArray[np.int64],
    weights_KK: Floats,
    seed: int,
) -> tuple[float, float]:
    groups, levels = int(groups_E.max()) + 1, len(weights_KK)
    agreed_G = np.bincount(groups_E, weights=weights_KK[rows_E, columns_E], minlength=groups)
    margins_GK = np.zeros((2, groups, levels))
    for side, found_E in enumerate((rows_E, columns_E)):
        np.add.at(margins_GK[side], (groups_E, found_E), 1.0)
    rng = np.random.default_rng(seed)
    drawn_BG = rng.multinomial(groups, np.full(groups, 1 / groups), size=DRAWS).astype(np.float64)
    judge_BK, human_BK = drawn_BG @ margins_GK[0], drawn_BG @ margins_GK[1]
    n_B = judge_BK.sum(axis=1)
    observed_B = (drawn_BG @ agreed_G) / n_B
    expected_B = ((judge_BK @ weights_KK) * human_BK).sum(axis=1) / n_B**2
    known_B = 1 - expected_B > 1e-12
    kappa_B = np.zeros(DRAWS)
    kappa_B[known_B] = (observed_B - expected_B)[known_B] / (1 - expected_B)[known_B]
    low, high = np.quantile(kappa_B, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
