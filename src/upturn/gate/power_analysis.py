"""The record of what a holdout could find, JSON-ready; ``power`` reckons it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PowerAnalysis:
    """What this holdout could find, and the size of a fresh one that would decide.

    Attributes:
        gain: the true gain that is assumed: the one seen, or ``min_gain`` where that is larger.
        target: chance with which the fresh holdout is to find it beyond chance at a first look.
        rows, groups: that this takes; None where no holdout would do.
        for_min_gain, for_effect: chance with which this look at this holdout finds a true gain of
            ``min_gain``, and one of the size seen; None where that is no gain.
        days: until so many fresh rows have come in at the present rate; None where it is not known.
    """

    gain: float
    target: float
    rows: int | None
    groups: int | None
    for_min_gain: float | None
    for_effect: float | None
    days: float | None

    @property
    def sentence(self) -> str:
        """The same in words, for people."""
        had = [
            f"{chance:.0%} for a true gain of {name}"
            for chance, name in (
                (self.for_min_gain, "min_gain"),
                (self.for_effect, "the size seen"),
            )
            if chance is not None
        ]
        could = f"This look could find a gain beyond chance with {' and '.join(had)}"
        if self.rows is None:
            return f"{could}; no number of rows would find {self.gain:+.3f}."
        days = "" if self.days is None else f", about {math.ceil(self.days)} days of them"
        return (
            f"{could}; {self.rows} fresh rows in about {self.groups} groups{days} would find "
            f"{self.gain:+.3f} with {self.target:.0%}."
        )
