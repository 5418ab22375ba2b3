"""Worlds for ``benchmarks.error_rates``: champion and challengers whose true scores are known.

Every world has 400 rows. A challenger is as good as the champion, or better by a known gain in
mean score; which rows it gets right is luck that depends on how hard a row is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
ROWS = 400
#: How alike two programs on one model find the rows: correlation of their latent skills.
ALIKE = 0.6
#: Rows that a gain is calibrated on, and the variance of a difference is measured on.
_PILOT = 400_000


@dataclass(frozen=True)
class Latent:
    """Scores from a latent skill: score(shift + base(row) + common + own).

    Attributes:
        score: latent skill -> score in [0, 1].
        base: position in the holdout, in [0, 1) -> mean skill.
        noisy: the answers differ from run to run, the champion's too.
        weekly: how much harder the rows look each week, for both sides.
    """

    score: Callable[[Floats], Floats]
    base: Callable[[Floats], Floats]
    noisy: bool = False
    weekly: float = 0.0


@dataclass(frozen=True)
class World:
    """One kind of rows.

    Attributes:
        name: of the world.
        latent: how scores come about.
        group_E: group of each row.
        weight_E: weight of each row, mean 1.
        within: share of a side's own luck that the rows of a group have in common.
    """

    name: str
    latent: Latent
    group_E: NDArray[np.int64]
    weight_E: Floats
    within: float = 0.0

    @property
    def sizes_G(self) -> Floats:
        """Rows, or weights, of each group."""
        return np.bincount(self.group_E, weights=self.weight_E)

    def sums(self, rng: np.random.Generator, *, years: int, weeks: int, gain: float) -> Floats:
        """Returns group sums of challenger minus champion, axes week, group, year.

        Args:
            rng: what is drawn from.
            years: independent histories of one holdout.
            weeks: challengers a year, each new, against one champion.
            gain: true difference of the mean scores.
        """
        shift = _shift(self.latent, gain)
        rows = len(self.group_E)
        order = np.random.default_rng(0).permutation(rows) / rows  # time says nothing of the group
        hard_EY = self.latent.base(order)[:, None] + ALIKE**0.5 * rng.normal(size=(rows, years))
        champion_EY = self._own(rng, years)
        found = np.empty((weeks, self.sizes_G.size, years))
        for week in range(weeks):
            skill_EY = hard_EY - self.latent.weekly * week
            if self.latent.noisy:
                champion_EY = self._own(rng, years)
            before = self.latent.score(skill_EY + champion_EY)
            after = self.latent.score(skill_EY + self._own(rng, years) + shift)
            differences_EY = (after - before) * self.weight_E[:, None]
            found[week] = _by_group(differences_EY, self.group_E)
        return found

    def _own(self, rng: np.random.Generator, years: int) -> Floats:
        shared_GY = rng.normal(size=(self.sizes_G.size, years)) * self.within**0.5
        own_EY = rng.normal(size=(len(self.group_E), years)) * (1 - self.within) ** 0.5
        return (1 - ALIKE) ** 0.5 * (shared_GY[self.group_E] + own_EY)

    def deviation(self, gain: float) -> float:
        """Returns the standard error of the weighted mean difference over all rows."""
        sums_GY = self.sums(np.random.default_rng(1), years=8000, weeks=1, gain=gain)[0]
        return float((sums_GY.sum(axis=0) / self.weight_E.sum()).std())


def _by_group(values_EY: Floats, group_E: NDArray[np.int64]) -> Floats:
    starts = np.flatnonzero(np.diff(group_E, prepend=-1))
    return np.add.reduceat(values_EY, starts, axis=0)


def _shift(latent: Latent, gain: float) -> float:
    """The shift of skill that raises the mean score by a gain, by bisection on fixed rows."""
    if gain == 0:
        return 0.0
    rng = np.random.default_rng(2)
    skill = latent.base(rng.random(_PILOT)) + rng.normal(size=_PILOT)
    low, high, start = 0.0, 3.0, latent.score(skill).mean()
    for _ in range(30):
        middle = (low + high) / 2
        enough = latent.score(skill + middle).mean() - start >= gain
        low, high = (low, middle) if enough else (middle, high)
    return high


def _right(skill: Floats) -> Floats:
    return (skill > 0).astype(np.float64)


def _graded(skill: Floats) -> Floats:
    return ndtr(2 * skill)


def _constant(level: float) -> Callable[[Floats], Floats]:
    return lambda at: np.full(at.shape, float(ndtri(level)))


def _falling(at: Floats) -> Floats:
    return ndtri(0.8 - 0.4 * at)


def worlds(rows: int = ROWS) -> tuple[World, ...]:
    """Returns all worlds; group sizes and weights are the same at every call."""
    rng = np.random.default_rng(3)
    single, ones = np.arange(rows), np.ones(rows)
    sizes = rng.integers(1, 7, size=rows)
    clustered = np.repeat(np.arange(rows), sizes)[:rows]
    weights = np.minimum(rng.lognormal(sigma=0.8, size=rows), 6.0)
    right, graded = Latent(_right, _constant(0.6)), Latent(_graded, _constant(0.6))
    return (
        World("binary", right, single, ones),
        World("graded", graded, single, ones),
        World("clustered", right, clustered, ones, within=0.6),
        World("weighted", right, single, weights / weights.mean()),
        World("drifting", Latent(_right, _falling, weekly=0.03), single, ones),
        World("noisy binary", Latent(_right, _constant(0.6), noisy=True), single, ones),
        World("noisy graded", Latent(_graded, _constant(0.6), noisy=True), single, ones),
    )
