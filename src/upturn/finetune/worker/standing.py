"""Where a job stands: its evaluations, the best of them, and how long none was better.

Without pairs the best is the highest score; of equals the earlier.
With pairs: preferences must not cost what the program is for. So an evaluation whose score fell
below the start's by more than noise (one standard error of the paired difference over the same dev
rows) is behind all that held it. Of those that held, the best has the highest sum of score and pair
accuracy (both are fractions of rows that came out right); of equals, the widest mean margin.
Patience counts evaluations without a higher sum: margins grow long after anything else does.
The start itself is never chosen: whether an adapter is better than none, the gate decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One evaluation.

    Attributes:
        step: after which it was made.
        score: the metric's mean; None without dev rows, or where no row could be scored.
        values: of each dev row, in order; None where it is not known.
        rows, failed: how many there were, and how many of them failed.
        seconds: it took.
        pair_accuracy, margin, length: of the dev pairs; None where there are none.
    """

    step: int
    score: float | None = None
    values: tuple[float | None, ...] = ()
    rows: int = 0
    failed: int = 0
    seconds: float = 0.0
    pair_accuracy: float | None = None
    margin: float | None = None
    length: Json = None

    def said(self) -> dict[str, Json]:
        """Returns what an "eval" event says."""
        said = asdict(self)
        del said["values"], said["length"]
        if self.pair_accuracy is None:
            del said["pair_accuracy"], said["margin"]
        return said

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Measured:
        made: dict[str, Any] = {**value, "values": tuple(value["values"])}
        return cls(**made)


@dataclass(kw_only=True)
class Standing:
    """Live; written into each checkpoint.

    Attributes:
        before: the evaluation of step 0.
        best: the best one after it.
        last: step of the last evaluation; -1 before the first.
        waits: evaluations since the best one.
    """

    before: Measured | None = None
    best: Measured | None = None
    last: int = -1
    waits: int = 0

    def take(self, measured: Measured) -> bool:
        """Takes an evaluation in; returns whether it is the best so far."""
        self.last = measured.step
        if measured.step == 0:
            self.before = measured
            return False
        best = self.best
        ahead = best is None or self.key(measured) > self.key(best)
        self.waits = 0 if ahead else self.waits + 1
        if best is not None and self._with_margin(measured) <= self._with_margin(best):
            return False
        self.best = measured
        return True

    def key(self, measured: Measured) -> tuple[float, ...]:
        """Returns what evaluations are ordered by; higher is better."""
        if measured.pair_accuracy is None:
            return (1.0, -math.inf if measured.score is None else measured.score)
        if not self.holds(measured):
            return (0.0, measured.score or 0.0)
        return (1.0, measured.pair_accuracy + (measured.score or 0.0))

    def _with_margin(self, measured: Measured) -> tuple[float, ...]:
        return (*self.key(measured), measured.margin or 0.0)

    def holds(self, measured: Measured) -> bool:
        """Whether the score is not below the start's by more than one standard error."""
        if self.before is None:
            return True
        pairs = zip(measured.values, self.before.values, strict=False)
        differences = [a - b for a, b in pairs if a is not None and b is not None]
        if len(differences) < 2:
            return True
        error = stdev(differences) / math.sqrt(len(differences))
        return fmean(differences) >= -error

    def gives_up(self, patience: int) -> bool:
        """Whether so many evaluations were no better that the job stops; 0 never does."""
        return 0 < patience <= self.waits

    def to_json(self) -> dict[str, Json]:
        return {
            "before": None if self.before is None else asdict(self.before),
            "best": None if self.best is None else asdict(self.best),
            "last": self.last,
            "waits": self.waits,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Standing:
        before, best = (
            None if value[k] is None else Measured.from_json(value[k]) for k in ("before", "best")
        )
        return cls(before=before, best=best, last=value["last"], waits=value["waits"])
