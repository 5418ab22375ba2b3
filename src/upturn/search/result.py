"""What a search found, as records."""

from __future__ import annotations

from dataclasses import dataclass, field

from upturn.records import Candidate, Evaluation
from upturn.search.finalists import Reported


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One candidate's part in the search.

    Attributes:
        number: in the order of entering; 0 is the one that runs now.
        candidate: the prompt.
        evaluation: the rows it ran.
        estimate: what it is believed to score on dev, from its rows and from those of candidates
            that share its options; None where none of its rows has a score.
        finished: it ran on every row of the search.
        reason: why it left.
    """

    number: int
    candidate: Candidate
    evaluation: Evaluation
    estimate: float | None
    finished: bool
    reason: str

    @property
    def name(self) -> str:
        return f"t{self.number:03d}"


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A candidate with what it scored where it was chosen, and where it was not.

    Attributes:
        name: short name of its trial, ``t017``.
        candidate: the prompt.
        searched: its rows of the search's part of dev; not necessarily all of them.
        fresh: its rows of the part that no trial saw.
        estimate: what it is believed to score, from all rows; None where nothing is known.
    """

    name: str
    candidate: Candidate
    searched: Evaluation
    fresh: Evaluation
    estimate: float | None = None

    @property
    def pooled(self) -> float:
        """Mean over all its rows where a score is known; -1 where none is."""
        rows = (*self.searched.rows, *self.fresh.rows)
        score = Evaluation(candidate_id=self.candidate.id, rows=rows).score
        return -1.0 if score is None else score


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What the search found.

    Attributes:
        trials: all trials in order.
        finalists: best first, the start candidate never among them.
        start: the start candidate, run on the same fresh rows.
        reported: the honest score of the best, which is the start candidate unless ``leads``.
        leads: the first finalist goes before the start candidate: by ``finalists.CONFIDENCE``, or,
            for another optimizer, by its mean over all rows.
        evaluations: rows run, finalists included.
        stopped: why the search ended before its budget, or "".
    """

    trials: tuple[Trial, ...]
    finalists: tuple[Finalist, ...]
    start: Finalist
    reported: Reported = field(default_factory=Reported)
    leads: bool = False
    evaluations: int = 0
    stopped: str = ""
