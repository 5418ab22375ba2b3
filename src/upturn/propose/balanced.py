"""Class-balanced demo sets that cover each label's recurring issues."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from upturn.propose.base import Evidence, Proposal, demo_set, text_of, weights_of
from upturn.propose.drawing import at_most, by_label, in_turn, part_of, widest_field
from upturn.propose.similarity import cover, similarity
from upturn.records import Example

#: Rows of one label that are compared with one another, at most.
_ROWS = 600


@dataclass(frozen=True)
class BalancedProposer:
    """For each label the rows that stand for most of its other rows, labels taking turns.

    The field that is balanced is the closed output field with the most labels; where all are free
    text, all rows are of one kind. Each draw sees a random part of train, so that draws differ.
    """

    name: str = "balanced"
    draws: int = 4
    share: float = 0.6

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        pool, rng = evidence.demo_pool(), evidence.rng(self.name)
        for predictor, fields in evidence.program.predictors.items():
            for draw in range(self.draws):
                part = part_of(pool, 1.0 if draw == 0 else self.share, rng)
                order = balanced_order(part, widest_field(fields), evidence.max_demos, rng)
                for size in evidence.sizes():
                    origin = f"{self.name}:{size}"
                    yield from demo_set(predictor, fields, order[:size], origin)


def balanced_order(
    rows: Sequence[Example], field: str | None, size: int, rng: np.random.Generator
) -> list[Example]:
    """Rows in the order in which a balanced set takes them: labels in turn, best cover first.

    A row counts, and is taken, by how sure its label is.
    """
    by = by_label(rows, field)
    per_label = -(-size // len(by)) if by else 0
    queues = [_covering(at_most(own, _ROWS, rng), per_label) for own in by.values()]
    return in_turn(queues, rng)


def _covering(rows: Sequence[Example], size: int) -> list[Example]:
    texts, weights_E = [text_of(e) for e in rows], weights_of(rows)
    picks = cover(similarity(texts, texts) * weights_E, size, weights_E)
    return [rows[i] for i in picks]


PROPOSER = BalancedProposer
