"""BootstrapFewShotWithRandomSearch: the best of nineteen demo sets.

Khattab et al., "DSPy: Compiling Declarative Language Model Calls into Self-Improving Pipelines",
2023.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from upturn.peers.base import FULL_SCORE, Claim, Part, Task, fraction


@dataclass(frozen=True)
class BootstrapRandomSearchPeer:
    """``dspy.BootstrapFewShotWithRandomSearch`` with its default budget of 16 random sets."""

    name: str = "bootstrap_random_search"
    judges_on: tuple[Part, ...] = ("searched",)
    has_budgets: bool = False

    def optimize(self, task: Task) -> Claim:
        """See :class:`upturn.peers.base.Peer`."""
        import dspy

        optimizer = dspy.BootstrapFewShotWithRandomSearch(
            metric=task.metric,
            # It draws at least one.
            max_bootstrapped_demos=max(1, task.rules.demos(4)),
            max_labeled_demos=task.rules.demos(16),
            num_threads=task.rules.concurrency,
            metric_threshold=FULL_SCORE,
        )
        # It takes no seed: its sets follow from the order of the rows.
        train = random.Random(task.rules.seed).sample(task.train, len(task.train))
        best = optimizer.compile(task.student, trainset=train, valset=task.searched)
        return Claim(program=best, score=fraction(best.candidate_programs[0]["score"]))
