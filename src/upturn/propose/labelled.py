"""Demo sets drawn at random from labelled train rows: the variety a search needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from upturn.propose.base import Evidence, Proposal, demo_set


@dataclass(frozen=True)
class LabelledProposer:
    """Random sets; rows with a surer label are likelier to be drawn."""

    name: str = "labelled"
    draws: int = 2

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        pool, rng = evidence.demo_pool(), evidence.rng(self.name)
        if not pool:
            return
        weights = np.array([e.weight for e in pool])
        for size in evidence.sizes():
            for _ in range(self.draws):
                take = min(size, len(pool))
                picks = rng.choice(len(pool), take, replace=False, p=weights / weights.sum())
                chosen = [pool[i] for i in picks]
                for predictor, fields in evidence.program.predictors.items():
                    yield from demo_set(predictor, fields, chosen, f"{self.name}:{size}")


PROPOSER = LabelledProposer
