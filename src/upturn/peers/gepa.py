"""GEPA: a model reflects on what went wrong and rewrites instructions, along a Pareto front.

Agrawal et al., "GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning", 2025.

Its own resuming (``log_dir``) is not used: it loads a pickle, which may run anything. Our answer
cache resumes it: the same seed asks the same questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from upturn.peers.base import Claim, Part, Task


@dataclass(frozen=True)
class GepaPeer:
    """``dspy.GEPA`` with its ``auto`` budgets; the feedback names the right answer."""

    name: str = "gepa"
    judges_on: tuple[Part, ...] = ("searched", "train")
    has_budgets: bool = True

    def optimize(self, task: Task) -> Claim:
        """See :class:`upturn.peers.base.Peer`."""
        import dspy

        optimizer = dspy.GEPA(
            metric=cast(Any, task.metric),
            auto=task.rules.auto,
            reflection_lm=task.prompt_model,
            num_threads=task.rules.concurrency,
            track_stats=True,
            # Scores per predictor are not ours to give: ours are of the whole program.
            warn_on_score_mismatch=False,
            seed=task.rules.seed,
        )
        best: Any = optimizer.compile(task.student, trainset=task.train, valset=task.searched)
        found = best.detailed_results
        return Claim(program=best, score=found.val_aggregate_scores[found.best_idx])
