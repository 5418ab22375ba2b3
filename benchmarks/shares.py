"""Shares of simulated cases."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of simulated cases with its 95 % interval (Wilson 1927)."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        return self.hits / self.of

    @property
    def interval(self) -> tuple[float, float]:
        z2 = 1.959964**2
        mid = (self.hits + z2 / 2) / (self.of + z2)
        half = math.sqrt(z2 * (self.value * (1 - self.value) * self.of + z2 / 4)) / (self.of + z2)
        return max(0.0, mid - half), mid + half

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.4f} [{low:.4f}, {high:.4f}]"
