"""What runs candidates: the contract of the local evaluator and of those on many machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from upturn.records import Candidate, Evaluation, Example, Json

#: Candidates, and the rows that each of them runs on.
Work = Sequence[tuple[Candidate, Sequence[Example]]]


class CandidateRunner(Protocol):
    """Runs candidates on rows: in this process, or on many machines. All answers are metered."""

    def evaluate(
        self, candidate: Candidate, examples: Sequence[Example], *, tolerant: bool = False
    ) -> Evaluation:
        """Runs one candidate; see :meth:`Evaluator.evaluate`."""
        ...

    def evaluate_all(self, work: Work, *, tolerant: bool = False) -> list[Evaluation]:
        """Runs several candidates at once; the same rows as one after the other, in order."""
        ...

    def trace(self, candidate: Candidate, example: Example) -> dict[str, dict[str, Json]]:
        """Returns predictor name -> the fields it read and wrote on one row."""
        ...
