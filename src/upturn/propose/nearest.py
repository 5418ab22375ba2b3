"""Demos nearest to what the running program gets wrong on dev."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from upturn.propose.base import Evidence, Proposal, demo_set, text_of
from upturn.propose.similarity import cover, similarity


@dataclass(frozen=True)
class NearestProposer:
    """Train rows that cover the failed dev rows best, counting only rows of the same label."""

    name: str = "nearest"

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        pool = evidence.demo_pool()
        failed = [example for example, _ in evidence.failures]
        if not pool or not failed:
            return
        near = similarity([text_of(e) for e in failed], [text_of(e) for e in pool])
        for r, row in enumerate(failed):
            for c, choice in enumerate(pool):
                if choice.labels != row.labels:
                    near[r, c] = 0.0
        order = [pool[i] for i in cover(near, evidence.max_demos)]
        for predictor, fields in evidence.program.predictors.items():
            for size in evidence.sizes():
                yield from demo_set(predictor, fields, order[:size], f"{self.name}:{size}")
