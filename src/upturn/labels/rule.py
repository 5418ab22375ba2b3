"""One rule: how one signal is read, as data.

``probability`` is what a person may read: how probable it is that a signal is right, when it is all
that is known. ``strength`` is how many comparable votes it takes to outweigh that number.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from upturn.errors import ConfigError
from upturn.events.records import Role, Signal
from upturn.labels.approval import approves


class Says(StrEnum):
    """What a signal that a rule reads says."""

    VALUE = "the value is right"
    RIGHT = "the answer is right"
    WRONG = "the answer is wrong"
    EITHER = "right or wrong"  # by its value
    NOTHING = "nothing"  # by itself


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one signal is read.

    Attributes:
        id: its name in reports and configs.
        signal: what it reads; None where it follows from another signal.
        says: what that says of the answer.
        probability: how probable it is that this is right, in [0.5, 1); 0.5 says nothing.
        strength: pseudo-votes behind that number.
        implicit: somebody did something, instead of judging. The reliability of an implicit rule
            is one number for everybody; that of an explicit one is each rater's own.
        roles: whose signals it reads; everybody's where empty.
        name: which score, category or vote it reads. Without one it reads all of its signal, but
            of votes only those whose name approves; see :func:`upturn.labels.approval.approves`.
        up_from, down_to: a number from which the answer is right, and down to which it is wrong.
        up, down: categories that say right, and wrong.
        note: why, for the documentation.
    """

    id: str
    signal: Signal | None
    says: Says
    probability: float = 0.5
    strength: float = 10.0
    implicit: bool = False
    roles: tuple[Role, ...] = ()
    name: str | None = None
    up_from: float | None = None
    down_to: float | None = None
    up: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        where = f"labels.rules.{self.id}"
        if not 0.5 <= self.probability < 1:
            raise ConfigError(
                f"probability must be in [0.5, 1), got {self.probability:g}", where=where
            )
        if self.strength <= 0:
            raise ConfigError(f"strength must be > 0, got {self.strength:g}", where=where)

    def reads(self, signal: Signal, role: Role, name: str | None) -> bool:
        """Whether this is a rule for such a signal."""
        if self.signal is not signal or (self.roles and role not in self.roles):
            return False
        if self.name is not None:
            return self.name == name
        return signal is not Signal.THUMBS or approves(name)
