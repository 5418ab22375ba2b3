"""Class-balanced demo sets that cover each label's recurring issues."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from upturn.programs import PredictorFields
from upturn.propose.base import Evidence, Proposal, demo_set, text_of
from upturn.propose.similarity import cover, similarity
from upturn.records import Example


@dataclass(frozen=True)
class BalancedProposer:
    """For each label the rows that stand for most of its other rows, labels taking turns.

    The field that is balanced is the closed output field with the most labels. Each draw sees a
    random part of train, so that draws differ.
    """

    name: str = "balanced"
    draws: int = 4
    share: float = 0.6

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        pool, rng = evidence.demo_pool(), evidence.rng(self.name)
        for predictor, fields in evidence.program.predictors.items():
            field = widest_field(fields)
            if field is None:
                continue
            for draw in range(self.draws):
                keep = rng.random(len(pool)) < (1.0 if draw == 0 else self.share)
                part = [e for e, k in zip(pool, keep, strict=True) if k and field in e.labels]
                order = balanced_order(part, field, evidence.max_demos, rng)
                for size in evidence.sizes():
                    origin = f"{self.name}:{size}"
                    yield from demo_set(predictor, fields, order[:size], origin)


def widest_field(fields: PredictorFields) -> str | None:
    """The closed output field with the most labels, or None where all are free text."""
    closed = {f: len(labels) for f, labels in fields.outputs.items() if labels}
    return max(closed, key=lambda f: closed[f]) if closed else None


def balanced_order(
    rows: Sequence[Example], field: str, size: int, rng: np.random.Generator
) -> list[Example]:
    """Rows in the order in which a balanced set takes them: labels in turn, best cover first."""
    by_label: dict[str, list[Example]] = defaultdict(list)
    for row in rows:
        by_label[str(row.labels[field])].append(row)
    queues: list[list[Example]] = []
    for label in sorted(by_label):
        texts = [text_of(e) for e in by_label[label]]
        per_label = -(-size // len(by_label))
        queues.append([by_label[label][i] for i in cover(similarity(texts, texts), per_label)])
    rounds = [[e for e in turn if e is not None] for turn in zip_longest(*queues)]
    for turn in rounds:
        # Within a round the order is random: a fixed order of labels would be a pattern to copy.
        rng.shuffle(turn)  # type: ignore[arg-type]
    return [e for turn in rounds for e in turn]
