"""More balanced covering sets: of short rows, and of rows that stand apart from other labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upturn.propose.base import Evidence, Proposal, demo_set, text_length, text_of, weights_of
from upturn.propose.drawing import at_most, by_label, in_turn, part_of, widest_field
from upturn.propose.similarity import Floats, cover, similarity
from upturn.records import Example

#: Rows that are compared with one another, at most.
_ROWS = 1500
KINDS = ("short", "apart")


@dataclass(frozen=True)
class CoveringProposer:
    """Balanced sets like those of ``balanced``, with another idea of which rows to take.

    ``short`` covers each label by the shorter half of its rows and shows short ones first: the same
    prompt holds more of them. In ``apart`` a row is worth less as a demo the more it resembles
    other labels. Each draw sees a random part of train.
    """

    name: str = "covering"
    draws: int = 2
    share: float = 0.6

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        rng = evidence.rng(self.name)
        pool = at_most(evidence.demo_pool(), _ROWS, rng)
        for predictor, fields in evidence.program.predictors.items():
            field = widest_field(fields)
            for draw in range(self.draws):
                part = part_of(pool, 1.0 if draw == 0 else self.share, rng)
                for kind in KINDS if field else KINDS[:1]:
                    order = covering_order(part, field, evidence.max_demos, kind, rng)
                    for size in evidence.sizes()[-2:]:
                        chosen = order[:size]
                        if kind == "short":
                            chosen = sorted(chosen, key=text_length)
                        origin = f"{self.name}:{kind}:{size}"
                        yield from demo_set(predictor, fields, chosen, origin)


def covering_order(
    rows: Sequence[Example], field: str | None, size: int, kind: str, rng: np.random.Generator
) -> list[Example]:
    """Rows in the order in which a set of a kind takes them, labels in turn."""
    by = by_label(rows, field)
    by = {label: _shorter_half(own) if kind == "short" else own for label, own in by.items()}
    rows = [e for own in by.values() for e in own]
    labels_E = np.array([label for label, own in by.items() for _ in own], dtype=np.str_)
    texts, weights_E = [text_of(e) for e in rows], weights_of(rows)
    near_EE = similarity(texts, texts)
    worth_E = weights_E * (_apart(near_EE, labels_E) if kind == "apart" else 1.0)
    queues: list[list[Example]] = []
    for label in by:
        own = np.flatnonzero(labels_E == label)
        near = near_EE[np.ix_(own, own)] * worth_E[own]
        picks = cover(near, -(-size // len(by)), weights_E[own])
        queues.append([rows[own[i]] for i in picks])
    return in_turn(queues, rng)


def _apart(near_EE: Floats, labels_E: NDArray[np.str_]) -> Floats:
    """How much more each row resembles rows of its own label than others, in [0, 1]."""
    same_EE = labels_E[:, None] == labels_E[None, :]
    own_E, others_E = _mean(near_EE, same_EE), _mean(near_EE, ~same_EE)
    return own_E / np.maximum(own_E + others_E, 1e-12)


def _mean(near_EE: Floats, where_EE: NDArray[np.bool_]) -> Floats:
    """Each row's mean similarity to the rows where the mask holds; 0 where there are none."""
    total_E = np.where(where_EE, near_EE, 0.0).sum(axis=1)
    return total_E / np.maximum(where_EE.sum(axis=1), 1)


def _shorter_half(rows: Sequence[Example]) -> list[Example]:
    ordered = sorted(rows, key=lambda e: (text_length(e), e.id))
    return ordered[: len(ordered) // 2 + 1]


PROPOSER = CoveringProposer
