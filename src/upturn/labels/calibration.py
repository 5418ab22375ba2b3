"""Whether probabilities hold: compared with what reviewers found, and bent until they do.

A map from stated to true probability is learned from reviewed labels: two numbers (Platt) where
there are few, any rising curve (isotonic) where there are many. It is judged on labels that it was
not learned from (cross-fitting), and used only where it makes these better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upturn.labels.latent import Floats

ISOTONIC_FROM = 1000  # reviewed labels from which a free curve is steadier than two numbers
FOLDS = 5
BINS = 10
EDGE = 0.005  # no map claims to be surer than this

Curve = Callable[[Floats], Floats]


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Labels whose probability is in [low, high): how many, the mean stated, the share right."""

    low: float
    high: float
    n: int
    stated: float
    right: float


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How well probabilities hold on n labels.

    Attributes:
        n: labels; brier: mean squared error of the probability, 0 is best.
        ece: expected calibration error, the mean gap between stated and true by bin.
        bins: the reliability diagram, without empty bins.
    """

    n: int
    brier: float
    ece: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, kw_only=True)
class CalibrationReport:
    """What reviews say of the label probabilities.

    Attributes:
        before: as the model states them, without the reviewers' evidence.
        after: as the map bends them, on labels that it was not learned from.
        method: ``"platt"`` or ``"isotonic"``; applied: whether the map is used.
    """

    before: Reliability
    after: Reliability
    method: str
    applied: bool

    @property
    def sentence(self) -> str:
        """The report in one sentence."""
        done = "recalibrated" if self.applied else "left as they are"
        return (
            f"on {self.before.n} reviewed labels the probabilities are off by "
            f"{self.before.ece:.3f} (ECE), {self.method} would leave {self.after.ece:.3f}: {done}"
        )


def reliability(stated_N: Floats, right_N: NDArray[np.bool_]) -> Reliability:
    """Compares probabilities with what turned out, for at least one label."""
    place_N = np.minimum((stated_N * BINS).astype(np.int64), BINS - 1)
    bins = tuple(
        Bin(
            low=b / BINS,
            high=(b + 1) / BINS,
            n=int((place_N == b).sum()),
            stated=float(stated_N[place_N == b].mean()),
            right=float(right_N[place_N == b].mean()),
        )
        for b in np.unique(place_N).tolist()
    )
    n = len(stated_N)
    return Reliability(
        n=n,
        brier=float(np.mean((stated_N - right_N) ** 2)),
        ece=sum(b.n * abs(b.stated - b.right) for b in bins) / n,
        bins=bins,
    )


def recalibration(
    stated_N: Floats, right_N: NDArray[np.bool_], *, seed: int = 0
) -> tuple[CalibrationReport, Curve | None]:
    """Learns a map, judges it on labels it has not seen, and returns it where it helps.

    Args:
        stated_N: probabilities of labels, each in (0, 1).
        right_N: whether a reviewer found the same.
        seed: which labels are judged together.
    """
    method = "isotonic" if len(stated_N) >= ISOTONIC_FROM else "platt"
    fold_N = np.random.default_rng(seed).permutation(len(stated_N)) % FOLDS
    bent_N = np.empty(len(stated_N))
    for fold in range(FOLDS):
        out_N = fold_N == fold
        bent_N[out_N] = _curve(method, stated_N[~out_N], right_N[~out_N])(stated_N[out_N])
    before, after = reliability(stated_N, right_N), reliability(bent_N, right_N)
    applied = after.brier < before.brier
    report = CalibrationReport(before=before, after=after, method=method, applied=applied)
    return report, _curve(method, stated_N, right_N) if applied else None


def _curve(method: str, stated_N: Floats, right_N: NDArray[np.bool_]) -> Curve:
    if len(np.unique(right_N)) < 2:
        # Nothing but right, or nothing but wrong: a share that a few more could still change.
        share = (right_N.sum() + 1) / (len(right_N) + 2)
        return lambda p: np.full(len(p), share)
    learned = _isotonic if method == "isotonic" else _platt
    curve = learned(stated_N, right_N)
    return lambda p: np.clip(curve(p), EDGE, 1 - EDGE)


def _isotonic(stated_N: Floats, right_N: NDArray[np.bool_]) -> Curve:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(out_of_bounds="clip").fit(stated_N, right_N)
    return lambda p: np.asarray(fitted.predict(p), dtype=np.float64)


def _platt(stated_N: Floats, right_N: NDArray[np.bool_]) -> Curve:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=10.0).fit(_logit(stated_N), right_N)
    return lambda p: np.asarray(fitted.predict_proba(_logit(p))[:, 1], dtype=np.float64)


def _logit(p: Floats) -> Floats:
    p = np.clip(p, EDGE, 1 - EDGE)
    return np.log(p / (1 - p))[:, None]
