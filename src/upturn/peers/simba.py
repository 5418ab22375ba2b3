"""SIMBA: rules and demos from rows on which sampled answers differ most.

It has no validation set: it draws its demos from the rows that it judges on, so it is given train
only, and the search's part of dev sees its programs for the first time when they are re-scored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from upturn.peers.base import Claim, Part, Task

#: DSPy's defaults.
_BATCH_ROWS, _DEMOS = 32, 4


@dataclass(frozen=True)
class SimbaPeer:
    """``dspy.SIMBA`` with its default budget."""

    name: str = "simba"
    judges_on: tuple[Part, ...] = ("train",)
    has_budgets: bool = False

    def optimize(self, task: Task) -> Claim:
        """See :class:`upturn.peers.base.Peer`."""
        import dspy

        optimizer = dspy.SIMBA(
            metric=task.metric,
            bsize=min(_BATCH_ROWS, len(task.train)),
            max_demos=task.rules.demos(_DEMOS),
            prompt_model=task.prompt_model,
            num_threads=task.rules.concurrency,
        )
        best: Any = optimizer.compile(task.student, trainset=task.train, seed=task.rules.seed)
        return Claim(program=best, score=best.candidate_programs[0]["score"])
