"""COPRO: a model writes instructions, sees their scores, and writes better ones.

It reads no rows, only scores, so the rows that it compares on are the search's part of dev. It also
writes a prefix for the last output field, which no chat format shows: the candidate leaves it out.
It takes no seed; that its model samples is its only randomness, and the cache keeps the samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from upturn.peers.base import Claim, Part, Task, fraction


@dataclass(frozen=True)
class CoproPeer:
    """``dspy.COPRO`` with its default budget: three rounds of ten instructions."""

    name: str = "copro"
    judges_on: tuple[Part, ...] = ("searched",)
    has_budgets: bool = False

    def optimize(self, task: Task) -> Claim:
        """See :class:`upturn.peers.base.Peer`."""
        import dspy

        optimizer = dspy.COPRO(prompt_model=task.prompt_model, metric=task.metric)
        threads: dict[str, Any] = {"num_threads": task.rules.concurrency}
        best = optimizer.compile(task.student, trainset=task.searched, eval_kwargs=threads)
        return Claim(program=best, score=fraction(best.candidate_programs[0]["score"]))
