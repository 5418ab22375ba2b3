"""MIPROv2: Bayesian search over instructions that a model wrote and bootstrapped demo sets.

Opsahl-Ong et al., "Optimizing Instructions and Demonstrations for Multi-Stage Language Model
Programs", 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

from upturn.peers.base import FULL_SCORE, Claim, Part, Task, fraction


@dataclass(frozen=True)
class MiproPeer:
    """``dspy.MIPROv2`` with its ``auto`` budgets."""

    name: str = "mipro"
    judges_on: tuple[Part, ...] = ("searched",)
    has_budgets: bool = True

    def optimize(self, task: Task) -> Claim:
        """See :class:`upturn.peers.base.Peer`."""
        import dspy

        rules = task.rules
        optimizer = dspy.MIPROv2(
            metric=task.metric,
            prompt_model=task.prompt_model,
            max_bootstrapped_demos=rules.demos(4),
            max_labeled_demos=rules.demos(4),
            auto=rules.auto,
            num_threads=rules.concurrency,
            metric_threshold=FULL_SCORE,
            # It takes a seed of 0 for no seed at all.
            seed=rules.seed + 1,
        )
        best = optimizer.compile(task.student, trainset=task.train, valset=task.searched)
        return Claim(program=best, score=fraction(best.score))
