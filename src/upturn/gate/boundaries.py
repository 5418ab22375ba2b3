"""Alpha spending, and the classical z boundaries that go with it.

A spending function says how much of the error level may be used up when a share t of the rows has
been seen (Lan and DeMets 1983, "Discrete sequential boundaries for clinical trials", Biometrika
70). The boundaries for a mean of normal rows follow by recursive numerical integration of the
density of what has not crossed yet (Armitage, McPherson and Rowe 1969, JRSS-A 132; Jennison and
Turnbull 2000, "Group sequential methods", chapter 19). The gate's own test is by sign flips; these
are what reports show beside it, and what the chance of a later promotion is reckoned with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from upturn.gate.statistics import Floats

#: Points of the density's grid, odd for Simpson's rule; it reaches this many deviations down.
_POINTS, _REACH = 401, 9.0
#: Chances below this are none: they lie beyond the grid.
_SMALLEST = 1e-18
_NORMAL = NormalDist()

Spending = Callable[[float, float], float]


def obrien_fleming(share: float, alpha: float) -> float:
    """Returns the error spent at a share of the rows: 2 - 2 Phi(z / sqrt(t)), z for alpha / 2.

    Next to nothing early, nearly all of it at the end: the last boundary is close to that of a
    single look, as O'Brien and Fleming's is.
    """
    if share <= 0:
        return 0.0
    reach = _NORMAL.inv_cdf(1 - alpha / 2) / math.sqrt(min(share, 1.0))
    return math.erfc(reach / math.sqrt(2))


def pocock(share: float, alpha: float) -> float:
    """Returns the error spent at a share of the rows: alpha ln(1 + (e - 1) t).

    About the same boundary at every stage, as Pocock's is: stops earlier, and has less power.
    """
    return alpha * math.log(1 + (math.e - 1) * min(max(share, 0.0), 1.0))


def power_family(rho: float) -> Spending:
    """Returns the spending alpha t**rho (Kim and DeMets 1987, Biometrika 74).

    ``rho`` of 1 is close to Pocock's, of 3 close to O'Brien and Fleming's.
    """

    def spent(share: float, alpha: float) -> float:
        return alpha * min(max(share, 0.0), 1.0) ** rho

    return spent


#: Spending functions by name; the power family takes a number besides.
SPENDING: Mapping[str, Callable[[float], Spending]] = {
    "obrien_fleming": lambda _: obrien_fleming,
    "pocock": lambda _: pocock,
    "power": power_family,
}


def spent_by(spending: Spending, times: Sequence[float], alpha: float) -> tuple[float, ...]:
    """Returns the error spent by the end of each stage; never falling, ``alpha`` at the last."""
    return (*(min(spending(t, alpha), alpha) for t in times[:-1]), alpha)


@lru_cache(maxsize=64)
def z_boundaries(times: tuple[float, ...], spent: tuple[float, ...]) -> tuple[float, ...]:
    """Returns the one-sided z boundary of each stage.

    Args:
        times: share of the rows at each stage, rising to 1.
        spent: error spent by the end of each stage; infinite boundaries where it does not rise.
    """
    density = Density()
    found: list[float] = []
    before_t = before_a = 0.0
    for time, level in zip(times, spent, strict=True):
        density.step(time - before_t)
        found.append(density.boundary(level - before_a))
        density.cut(found[-1] * math.sqrt(time))
        before_t, before_a = time, level
    return tuple(found)


class Density:
    """The density of a Brownian motion that has crossed no boundary so far.

    One ``step`` for each stage, then ``crossing`` and ``boundary`` ask about it, then ``cut`` takes
    out what crossed.

    Args:
        drift: its mean at time 1.
        points: of the grid, odd; work grows with their square.
    """

    def __init__(self, drift: float = 0.0, points: int = _POINTS) -> None:
        self._drift, self._count = drift, points
        self._time = 0.0
        self._increment = 0.0
        self._points = np.zeros(1)
        self._mass = np.ones(1)  # Simpson weight times density: sums are integrals

    def step(self, increment: float) -> None:
        """Lets time pass until the next look."""
        self._increment, self._time = increment, self._time + increment

    def crossing(self, value: float) -> float:
        """Returns the chance of being above a value now, without having crossed before."""
        expected = self._points + self._drift * self._increment
        return float(self._mass @ ndtr((expected - value) / math.sqrt(self._increment)))

    def boundary(self, chance: float) -> float:
        """Returns the z value that is crossed now with a given chance."""
        if chance < _SMALLEST:
            return math.inf
        scale = math.sqrt(self._time)
        found: Any = brentq(lambda z: self.crossing(z * scale) - chance, -_REACH, _REACH)
        return float(found)

    def cut(self, value: float, *, above: float = -math.inf) -> None:
        """Goes on with what is below a value, and above another."""
        middle, reach = self._drift * self._time, _REACH * math.sqrt(self._time)
        low, high = max(above, middle - reach), min(value, middle + reach)
        if low >= high:
            self._points, self._mass = np.zeros(1), np.zeros(1)
            return
        points = np.linspace(low, high, self._count)
        weights: Floats = np.full(self._count, 2.0)
        weights[1::2] = 4.0
        weights[0] = weights[-1] = 1.0
        expected = self._points + self._drift * self._increment
        gaps = (points[:, None] - expected[None, :]) / math.sqrt(self._increment)
        kernel = np.exp(-0.5 * gaps**2) / math.sqrt(2 * math.pi * self._increment)
        self._mass = (kernel @ self._mass) * weights * (points[1] - points[0]) / 3
        self._points = points
