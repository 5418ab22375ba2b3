"""One thing that does not hold in a ledger."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from upturn.errors import UpturnError
from upturn.ledger import Entry
from upturn.records import Json

_RESTORE = "restore ledger and evidence from a backup; what this entry says cannot be trusted"
#: What a value of another form than ours raises somewhere, asserts and depth included.
_FORMLESS = (
    *(LookupError, ValueError, TypeError, AttributeError, ArithmeticError),
    *(AssertionError, RecursionError),
)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What does not hold.

    Attributes:
        entry: number of the ledger's entry.
        what: the rule, and what was found.
        fix: what to do next.
    """

    entry: int
    what: str
    fix: str = _RESTORE

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


@contextmanager
def finding(entry: Entry, problems: list[Problem]) -> Generator[None]:
    """Notes what a check of one entry raises: a forged entry may hold anything."""
    try:
        yield
    except UpturnError as error:
        problems.append(Problem(entry=entry.number, what=error.what, fix=error.fix or _RESTORE))
    except _FORMLESS as error:
        what = f"the entry must have the form that Upturn writes: {type(error).__name__} {error}"
        problems.append(Problem(entry=entry.number, what=what))
