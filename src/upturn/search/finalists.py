"""Finalists are re-scored on dev rows they were not chosen on, before the holdout is looked at.

The best of many trials looks better than it is. The score that is reported for a finalist is the
one on fresh rows; the choice among the few finalists uses all dev rows, which is the better guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from upturn.evaluate import Evaluator
from upturn.records import Candidate, Evaluation, Example


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A candidate with what it scored where it was chosen, and where it was not.

    Attributes:
        name: short name of its trial, ``t017``.
        candidate: the prompt.
        searched: its rows of the search's part of dev.
        fresh: its rows of the part that no trial saw.
    """

    name: str
    candidate: Candidate
    searched: Evaluation
    fresh: Evaluation

    @property
    def pooled(self) -> float:
        """Mean over all dev rows where a score is known; -1 where none is."""
        rows = (*self.searched.rows, *self.fresh.rows)
        return Evaluation(candidate_id=self.candidate.id, rows=rows).score or 0.0

    @property
    def prompt_chars(self) -> int:
        """Length of the prompt's own text: of equals the shorter wins."""
        return sum(len(str(s.to_json())) for s in self.candidate.states.values())


def rescore(
    chosen: Sequence[tuple[str, Candidate]],
    *,
    searched: Sequence[Example],
    fresh: Sequence[Example],
    evaluator: Evaluator,
) -> list[Finalist]:
    """Runs the chosen on all dev rows; returns them best first.

    Rows of the search's part that a finalist already ran cost nothing.
    """
    finalists = [
        Finalist(
            name=name,
            candidate=candidate,
            searched=evaluator.evaluate(candidate, searched),
            fresh=evaluator.evaluate(candidate, fresh),
        )
        for name, candidate in chosen
    ]
    return sorted(finalists, key=lambda f: (-f.pooled, f.prompt_chars, f.candidate.id))
