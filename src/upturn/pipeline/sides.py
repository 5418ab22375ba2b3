"""Champion and challengers on the holdout's rows: stage by stage, each row as often as asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from upturn.evaluate import CandidateRunner
from upturn.gate.replicates import combine
from upturn.gate.sequence import RunStage
from upturn.records import Candidate, Evaluation, Example


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Runs both sides of each comparison; the champion once, whoever it is compared with.

    Attributes:
        evaluator: runs rows; failures become rows, not exceptions.
        champion: the running candidate.
        examples: the holdout.
        replicates: runs of each row on each side. Each asks for an answer of its own and the answer
            cache keeps it, so a turn that is resumed pays for none twice.
    """

    evaluator: CandidateRunner
    champion: Candidate
    examples: Sequence[Example]
    replicates: int = 1
    _before: dict[frozenset[str], Evaluation] = field(default_factory=dict)

    def against(self, challenger: Candidate) -> RunStage:
        """Returns what runs the champion and a challenger on the rows of some groups."""

        def run(groups: frozenset[str]) -> tuple[Evaluation, Evaluation]:
            rows = [e for e in self.examples if e.group in groups]
            if groups not in self._before:
                self._before[groups] = self._run(self.champion, rows, is_champion=True)
            return self._before[groups], self._run(challenger, rows, is_champion=False)

        return run

    def _run(
        self, candidate: Candidate, rows: Sequence[Example], *, is_champion: bool
    ) -> Evaluation:
        asked = [(_rollout(candidate, number), rows) for number in range(self.replicates)]
        runs = self.evaluator.evaluate_all(asked, tolerant=True)
        return combine(runs, is_champion=is_champion)


def _rollout(candidate: Candidate, number: int) -> Candidate:
    """The candidate as it answers the same request for another time."""
    if number == 0:
        return candidate
    return replace(candidate, settings={**candidate.settings, "rollout": number})
