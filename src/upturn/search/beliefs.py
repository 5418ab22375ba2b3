"""What is believed of candidates' scores: a Gaussian process over choices, on paired rows.

A score is a candidate's level, plus how easy the row is, plus noise. Rows are shared by candidates,
so their ease is estimated and taken out: that is what pairing does for two. Candidates that share
an option, or the proposer it came from, are likely to be alike, so a row run by one says something
about all of them.

    level(c) = m + sum over choices k of f_k(kind) + g_k(origin) + h_k(id) + r(c)

with independent Gaussian terms: a Gaussian process with an additive categorical kernel. Its few
variances are fitted by marginal likelihood (Rasmussen and Williams 2006, equations 2.25 and 2.30).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from threadpoolctl import ThreadpoolController

from upturn.search.space import Codes

Floats = NDArray[np.float64]
#: How a choice's variance is shared among kind, origin and id.
_SHARES = np.array([0.2, 0.3, 0.5])
_SWEEPS = 3
_STEPS = (0.25, 4.0)
_FLOOR, _CEILING = 1e-5, 0.25


@dataclass(frozen=True, kw_only=True)
class Variances:
    """The process's variances; scores are fractions.

    Attributes:
        choice_K: of each choice's effect.
        own: of what a candidate has beyond its choices.
        noise: of a row's score beside level and ease.
    """

    choice_K: tuple[float, ...]
    own: float
    noise: float

    @classmethod
    def start(cls, n_choices: int) -> Variances:
        return cls(choice_K=(0.01,) * n_choices, own=0.001, noise=0.15)


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Beliefs about some candidates' levels.

    Attributes:
        mean_C: posterior means.
        cov_CC: posterior covariance.
    """

    mean_C: Floats
    cov_CC: Floats

    @property
    def sd_C(self) -> Floats:
        return np.sqrt(np.maximum(np.diag(self.cov_CC), 0.0))

    def draw(self, rng: np.random.Generator, n: int) -> Floats:
        """Returns [n, C]: levels drawn from the posterior."""
        jitter = 1e-9 + 1e-6 * float(np.trace(self.cov_CC)) / max(1, len(self.mean_C))
        with _one_thread():
            root_CC = cholesky(self.cov_CC + jitter * np.eye(len(self.mean_C)), lower=True)
            return self.mean_C + rng.standard_normal((n, len(self.mean_C))) @ root_CC.T


class Beliefs:
    """Learns from all rows run so far; deterministic.

    Args:
        n_choices: choices of the space.
    """

    def __init__(self, n_choices: int) -> None:
        self.variances = Variances.start(n_choices)
        self._codes_EF: Codes = np.empty((0, 0), dtype=np.int64)
        self._mean = 0.5

    def learn(self, codes_EF: Codes, values_ER: Floats, *, fit: bool = False) -> None:
        """Takes the whole state of the study.

        Args:
            codes_EF: the entries' codes (``Space.codes``).
            values_ER: their scores, NaN where not run or unknown; every entry has a known one.
            fit: whether the variances are fitted, too; it costs some milliseconds.
        """
        self._codes_EF = codes_EF
        with _one_thread():
            self._count_E, self._level_E = self._paired(values_ER)
            if fit and len(codes_EF) >= 4:
                self._fit()
            self._condition()

    def levels(self, codes_CF: Codes) -> Levels:
        """Returns what is believed of any combinations, those that were run among them."""
        if not len(self._codes_EF):
            prior_CC = self._kernel(codes_CF, codes_CF)
            return Levels(mean_C=np.full(len(codes_CF), self._mean), cov_CC=prior_CC)
        with _one_thread():
            cross_CE = self._kernel(codes_CF, self._codes_EF)
            mean_C = self._mean + cross_CE @ self._weights_E
            half_EC = solve_triangular(self._root_EE, cross_CE.T, lower=True)
            cov_CC = self._kernel(codes_CF, codes_CF) - half_EC.T @ half_EC
        return Levels(mean_C=mean_C, cov_CC=cov_CC)

    def _paired(self, values_ER: Floats) -> tuple[Floats, Floats]:
        """Rows known and mean score of each entry, with the rows' ease taken out."""
        known_ER = ~np.isnan(values_ER)
        filled_ER = np.where(known_ER, values_ER, 0.0)
        count_E, count_R = known_ER.sum(1).astype(float), known_ER.sum(0).astype(float)
        level_E = filled_ER.sum(1) / count_E
        ease_R = np.zeros(values_ER.shape[1])
        # How much of a row's deviation is believed to be its ease: noise over ease variance.
        shrink = 1.0
        for _ in range(_SWEEPS):
            residual_R = np.where(known_ER, filled_ER - level_E[:, None], 0.0).sum(0)
            ease_R = residual_R / (count_R + shrink)
            level_E = np.where(known_ER, filled_ER - ease_R, 0.0).sum(1) / count_E
        left_ER = np.where(known_ER, filled_ER - level_E[:, None] - ease_R, 0.0)
        freedom = max(1.0, known_ER.sum() - len(count_E) - (count_R > 1).sum())
        noise = (float((left_ER**2).sum()) + 2 * 0.12) / (freedom + 2)
        self.variances = replace(self.variances, noise=min(_CEILING, max(0.01, noise)))
        return count_E, level_E

    def _fit(self) -> None:
        parts_KEE = self._parts(self._codes_EF, self._codes_EF)
        best, score = self.variances, self._likelihood(self.variances, parts_KEE)
        for k in (*range(len(best.choice_K)), -1):
            for step in _STEPS:
                tried = _scaled(best, k, step)
                found = self._likelihood(tried, parts_KEE)
                if found > score + 1e-9:
                    best, score = tried, found
                    break
        self.variances = best

    def _likelihood(self, variances: Variances, parts_KEE: Floats) -> float:
        root_EE = cholesky(self._noisy(_weighted(parts_KEE, variances)), lower=True)
        gap_E = solve_triangular(root_EE, self._level_E - self._level_mean(root_EE), lower=True)
        # A weak prior keeps the variances near where they started while there is little data.
        start = Variances.start(len(variances.choice_K))
        pairs = (
            *zip(variances.choice_K, start.choice_K, strict=True),
            (variances.own, start.own),
        )
        pull = sum(np.log(a / b) ** 2 for a, b in pairs) / (2 * 1.5**2)
        return -0.5 * float(gap_E @ gap_E) - float(np.log(np.diag(root_EE)).sum()) - pull

    def _condition(self) -> None:
        self._root_EE = cholesky(
            self._noisy(self._kernel(self._codes_EF, self._codes_EF)), lower=True
        )
        self._mean = self._level_mean(self._root_EE)
        self._weights_E = cho_solve((self._root_EE, True), self._level_E - self._mean)

    def _level_mean(self, root_EE: Floats) -> float:
        """Generalised least squares mean."""
        weights_E = cho_solve((root_EE, True), np.ones(len(self._level_E)))
        return float(weights_E @ self._level_E / weights_E.sum())

    def _noisy(self, kernel_EE: Floats) -> Floats:
        return kernel_EE + np.diag(self.variances.noise / self._count_E + 1e-9)

    def _kernel(self, one: Codes, two: Codes) -> Floats:
        return _weighted(self._parts(one, two), self.variances)

    def _parts(self, one: Codes, two: Codes) -> Floats:
        """Returns [choices + 1, one, two]: what each choice shares, and who is the same."""
        same = [one[:, f, None] == two[None, :, f] for f in range(one.shape[1])]
        shared = [
            sum(weight * same[f + i] for i, weight in enumerate(_SHARES))
            for f in range(0, len(same), 3)
        ]
        # The last code of each choice is its id: all ids equal is the same candidate.
        return np.array([*shared, np.logical_and.reduce(same[2::3])], dtype=float)


def _one_thread() -> AbstractContextManager[Any]:
    """Keeps linear algebra on one thread: with several, its last bits depend on how many."""
    return _controller().limit(limits=1, user_api="blas")


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def _weighted(parts_KCC: Floats, variances: Variances) -> Floats:
    return np.tensordot(np.array([*variances.choice_K, variances.own]), parts_KCC, axes=1)


def _scaled(variances: Variances, k: int, step: float) -> Variances:
    def kept(value: float) -> float:
        return min(_CEILING, max(_FLOOR, value))

    if k < 0:
        return replace(variances, own=kept(variances.own * step))
    scaled = [kept(v * step) if i == k else v for i, v in enumerate(variances.choice_K)]
    return replace(variances, choice_K=tuple(scaled))
