"""The rows that were run already: none is run twice in one process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from upturn.errors import BudgetExceededError, OutageError
from upturn.evaluate.runner import Work
from upturn.records import Candidate, Evaluation, Example, FailureKind, Row

#: Where at least this share of the rows just run could not reach the model, the turn stops: scores
#: would be noise. Few rows say little about a server, so of fewer than this all must be lost.
OUTAGE_SHARE, FEW_ROWS = 0.5, 16
#: Candidate id and example id.
Key = tuple[str, str]
_THE_WORLDS = (FailureKind.OUTAGE, FailureKind.BUDGET)


class KnownRows:
    """Remembers rows by candidate and example; what the world failed is forgotten again."""

    def __init__(self) -> None:
        self._known: dict[Key, Row] = {}

    def fresh(self, work: Work) -> dict[Key, tuple[Candidate, Example]]:
        """Returns what was not run before, each once, in order."""
        return {
            (name, example.id): (candidate, example)
            for candidate, examples in work
            for name in (candidate.id,)
            for example in examples
            if (name, example.id) not in self._known
        }

    def keep(self, key: Key, row: Row) -> None:
        """Remembers a row that is an answer: an outage or a cap may be asked for again."""
        if row.failure not in _THE_WORLDS:
            self._known[key] = row

    def evaluations(self, work: Work, rows: Mapping[Key, Row]) -> list[Evaluation]:
        """Returns one evaluation for each candidate, from new rows and remembered ones."""
        return [
            Evaluation(
                candidate_id=name,
                rows=tuple(rows.get((name, e.id)) or self._known[name, e.id] for e in examples),
            )
            for candidate, examples in work
            for name in (candidate.id,)
        ]


def check(rows: Mapping[Key, Row]) -> None:
    """Raises where the world failed a candidate; the first candidate in order is the one named.

    Raises:
        BudgetExceededError: a cap was reached before all rows could run.
        OutageError: half of the rows could not reach the model; of few rows, all.
    """
    of: dict[str, list[Row]] = {}
    for (name, _), row in rows.items():
        of.setdefault(name, []).append(row)
    for own in of.values():
        _check_one(own)


def _check_one(rows: Sequence[Row]) -> None:
    stopped = next((r for r in rows if r.failure is FailureKind.BUDGET), None)
    if stopped is not None:
        raise BudgetExceededError(stopped.message)
    lost = [r for r in rows if r.failure is FailureKind.OUTAGE]
    share = OUTAGE_SHARE if len(rows) >= FEW_ROWS else 1.0
    if lost and len(lost) >= share * len(rows):
        raise OutageError(
            f"{len(lost)} of {len(rows)} rows could not reach the model: {lost[0].message}",
            fix="run the same command again when it is back: what was paid for is kept",
        )
