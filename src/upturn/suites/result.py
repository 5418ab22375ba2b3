"""What became of a suite's rows under one candidate."""

from __future__ import annotations

from dataclasses import dataclass

from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """One row.

    Attributes:
        id: the row's.
        passed: None where the world gave no answer, so that nobody knows.
        why: what was wrong; "" where nothing was.
        invalid: a judge was asked, and its choice could not be read. Such a row does not pass.
    """

    id: str
    passed: bool | None
    why: str = ""
    invalid: bool = False


@dataclass(frozen=True, kw_only=True)
class SuiteResult:
    """All rows of a suite."""

    name: str
    rows: tuple[RowResult, ...]

    @property
    def passed(self) -> int:
        """Rows that passed."""
        return sum(r.passed is True for r in self.rows)

    @property
    def share(self) -> float:
        """Share of all rows that passed; an unknown one did not."""
        return self.passed / len(self.rows)

    @property
    def failed(self) -> tuple[str, ...]:
        """Ids of the rows that did not pass, the unknown ones left out."""
        return tuple(r.id for r in self.rows if r.passed is False)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Ids of the rows that got no answer from the world."""
        return tuple(r.id for r in self.rows if r.passed is None)

    @property
    def invalid(self) -> int:
        """Rows whose judge said nothing that can be read."""
        return sum(r.invalid for r in self.rows)

    def to_json(self) -> dict[str, Json]:
        """The counts, and every row that did not pass with the reason."""
        return {
            "rows": len(self.rows),
            "passed": self.passed,
            "share": self.share,
            "invalid": self.invalid,
            "unknown": list(self.unknown),
            "failed": [{"id": r.id, "why": r.why} for r in self.rows if r.passed is False],
        }
