"""Who gives feedback is not who uses the product: shares of right answers, weighted for that.

A logistic regression says how probable feedback was for each request, from what is known of all
requests: how much its user asks, hour and weekday, version, model, slices. Each request that was
spoken of then stands for as many as its probability implies (inverse propensity weighting, with
normalised and clipped weights). That mends a selection by these features. It cannot mend one by
the answer itself, such as people who speak up only when it is wrong: no list of requests shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from upturn.events.source import Exposure
from upturn.labels.latent import Floats, Ints

Z95 = 1.959963984540054
#: A value of a feature that fewer requests have is "other".
RARE = 0.005


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A share with its 95 % interval; the standard error is clustered by user."""

    share: float
    se: float

    @property
    def low(self) -> float:
        return max(self.share - Z95 * self.se, 0.0)

    @property
    def high(self) -> float:
        return min(self.share + Z95 * self.se, 1.0)


@dataclass(frozen=True, kw_only=True)
class SelectionReport:
    """Shares of right answers, as the feedback shows them and as all requests would.

    Attributes:
        requests: that have an answer; judged: of which it is known whether it is right.
        naive, weighted: the two estimates.
        effective: effective number of judged requests after weighting.
        clipped: share of judged requests whose weight was cut.
    """

    requests: int
    judged: int
    naive: Estimate
    weighted: Estimate
    effective: float
    clipped: float

    @property
    def warning(self) -> str:
        """A sentence where the estimates differ by more than their uncertainty, else ``""``."""
        # Where selection is mere chance, what weighting mends is a part of the naive error: so the
        # standard error of the difference is at most that of the counted share.
        gap = self.weighted.share - self.naive.share
        if abs(gap) <= Z95 * max(self.naive.se, self.weighted.se):
            return ""
        side = "better" if gap > 0 else "worse"
        return (
            f"The requests that get feedback are not like the others: by feedback "
            f"{self.naive.share:.1%} of the answers are right, over all requests it is rather "
            f"{self.weighted.share:.1%} ({self.weighted.low:.1%} to {self.weighted.high:.1%}). "
            f"The program does {side} than its feedback says."
        )

    @property
    def sentence(self) -> str:
        """Both estimates in a sentence, and the warning where there is one."""
        n, w = self.naive, self.weighted
        told = (
            f"answers right: {n.share:.1%} ({n.low:.1%} to {n.high:.1%}) of the {self.judged} "
            f"judged, {w.share:.1%} ({w.low:.1%} to {w.high:.1%}) weighted to all "
            f"{self.requests} requests, effective number {self.effective:.0f}"
        )
        return f"{told}\n{self.warning}" if self.warning else told


def selection_report(
    exposures: Iterable[Exposure],
    right: Mapping[str, float],
    *,
    max_weight: float = 20.0,
    fit_on: int = 200_000,
    seed: int = 0,
) -> SelectionReport | None:
    """Compares the share of right answers among judged requests with that of all requests.

    Args:
        exposures: all requests, in short; those in error are left out.
        right: request id -> probability that its answer is right, of the requests judged.
        max_weight: the most that one request may stand for, in multiples of the mean.
        fit_on: requests that the regression is fitted on, drawn where there are more.
        seed: of that draw.

    Returns:
        None where fewer than two requests are judged, or all of them are.
    """
    table = _Features()
    for e in exposures:
        if not e.error:
            table.add(e, right.get(e.id))
    known_N = np.isfinite(table.outcome())
    if known_N.sum() < 2 or known_N.all():
        return None
    chance_N = _propensity(table.matrix(), known_N, fit_on, seed)
    right_J, user_J = table.outcome()[known_N], table.users()[known_N]
    return weigh(right_J, chance_N[known_N], user_J, max_weight, requests=len(known_N))


def weigh(
    right_J: Floats, chance_J: Floats, user_J: Ints, max_weight: float, *, requests: int
) -> SelectionReport:
    """Returns the estimates from J judged requests.

    Args:
        right_J: probability that each answer is right; chance_J: that it was judged.
        user_J: whose request it was, as codes; requests of one user are not independent.
        max_weight: the most that one request may stand for, in multiples of the mean.
        requests: how many there are in all.
    """
    weight_J = 1.0 / chance_J
    limit = max_weight * weight_J.mean()
    clipped = float((weight_J > limit).mean())
    weight_J = np.minimum(weight_J, limit)
    return SelectionReport(
        requests=requests,
        judged=len(right_J),
        naive=_ratio(right_J, np.ones(len(right_J)), user_J),
        weighted=_ratio(right_J, weight_J, user_J),
        effective=float(weight_J.sum() ** 2 / (weight_J**2).sum()),
        clipped=clipped,
    )


def _ratio(right_J: Floats, weight_J: Floats, user_J: Ints) -> Estimate:
    """Returns a weighted mean; its error is linearised, and summed by user."""
    share = float(np.average(right_J, weights=weight_J))
    part_J = weight_J * (right_J - share) / weight_J.sum()
    by_user_G = np.bincount(user_J, weights=part_J)
    return Estimate(share=share, se=float(np.sqrt((by_user_G**2).sum())))


class _Features:
    """What is known of every request, as codes by feature."""

    def __init__(self) -> None:
        self._users: dict[str, int] = {}
        self._asked: Counter[int] = Counter()
        self._user: list[int] = []
        self._right: list[float] = []
        self._codes: dict[str, dict[str, int]] = {}
        self._columns: dict[str, list[int]] = {}

    def add(self, e: Exposure, right: float | None) -> None:
        user = self._users.setdefault(e.user or f"\0{e.id}", len(self._users))
        self._asked[user] += 1
        self._user.append(user)
        self._right.append(np.nan if right is None else right)
        at = datetime.fromisoformat(e.time)
        said = {
            "hour": str(at.hour // 4),
            "weekday": str(at.weekday()),
            "version": e.version or "",
            "model": e.model or "",
            **{f"slice {name}": value for name, value in e.slices.items()},
        }
        for name, value in said.items():
            self._put(name, value)

    def _put(self, name: str, value: str) -> None:
        codes = self._codes.setdefault(name, {})
        column = self._columns.setdefault(name, [])
        column.extend([-1] * (len(self._user) - 1 - len(column)))
        column.append(codes.setdefault(value, len(codes)))

    def outcome(self) -> Floats:
        """Probability that each answer is right; NaN where it was not judged."""
        return np.asarray(self._right)

    def users(self) -> Ints:
        return np.asarray(self._user, dtype=np.int64)

    def matrix(self) -> NDArray[np.float32]:
        """Returns one indicator column per value of a feature that is not rare."""
        size = len(self._user)
        asked_U = np.array([self._asked[u] for u in range(len(self._users))])
        columns = [np.log2(asked_U[self.users()]).astype(np.int64)]
        for column in self._columns.values():
            columns.append(np.asarray(column + [-1] * (size - len(column)), dtype=np.int64))
        made = [
            (column == value).astype(np.float32)
            for column in columns
            for value, n in zip(*np.unique(column, return_counts=True), strict=True)
            if RARE * size <= n < size
        ]
        return np.column_stack(made) if made else np.zeros((size, 1), dtype=np.float32)


def _propensity(
    x_NF: NDArray[np.float32], known_N: NDArray[np.bool_], fit_on: int, seed: int
) -> Floats:
    """Returns how probable it was that each request is judged."""
    from sklearn.linear_model import LogisticRegression

    chosen = np.arange(len(known_N))
    if len(chosen) > fit_on:
        chosen = np.random.default_rng(seed).choice(len(chosen), size=fit_on, replace=False)
    if known_N[chosen].all() or not known_N[chosen].any():
        return np.full(len(known_N), known_N.mean())
    model = LogisticRegression(C=1.0, max_iter=200).fit(x_NF[chosen], known_N[chosen])
    return np.maximum(model.predict_proba(x_NF)[:, 1], 1e-6)
