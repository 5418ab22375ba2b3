"""Demos nearest to what the best program so far gets wrong on dev."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upturn.programs import PredictorFields
from upturn.propose.balanced import balanced_order
from upturn.propose.base import Evidence, Proposal, demo_set, text_of, weights_of
from upturn.propose.credit import faults
from upturn.propose.drawing import at_most, in_turn, widest_field
from upturn.propose.similarity import cover, similarity
from upturn.records import Example

#: Train rows, and failed rows, that are compared with one another, at most.
_ROWS = 2000


@dataclass(frozen=True)
class NearestProposer:
    """Train rows that cover the failed dev rows best, counting only rows of the same label.

    Each predictor gets demos for the rows that it is to blame for; labels that never fail get none.
    Half of a ``mixed`` set is balanced: mending what is wrong must not break what is right.
    """

    name: str = "nearest"

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        rng = evidence.rng(self.name)
        pool, blamed = at_most(evidence.demo_pool(), _ROWS, rng), faults(evidence)
        for predictor, fields in evidence.program.predictors.items():
            failed = at_most([f.example for f in blamed[predictor]], _ROWS, rng)
            order = _nearest(failed, pool, fields, evidence.max_demos)
            if not order:
                continue
            chosen = order[: evidence.max_demos]
            yield from demo_set(predictor, fields, chosen, f"{self.name}:{len(chosen)}")
            even = balanced_order(pool, widest_field(fields), evidence.max_demos, rng)
            mixed = in_turn([order, even])
            for size in evidence.sizes():
                yield from demo_set(predictor, fields, mixed[:size], f"{self.name}:mixed:{size}")


def _nearest(
    failed: Sequence[Example], pool: Sequence[Example], fields: PredictorFields, size: int
) -> list[Example]:
    """Rows that cover the failed ones, best first, the labels that fail taking turns."""
    near_RC = similarity([text_of(e) for e in failed], [text_of(e) for e in pool])
    near_RC *= _keys(failed, fields)[:, None] == _keys(pool, fields)[None, :]
    near_RC *= weights_of(pool)
    field = widest_field(fields)
    labels_C = np.array([str(e.labels.get(field or "")) for e in pool])
    queues: list[list[Example]] = []
    for label in sorted(set(labels_C.tolist())):
        own = np.flatnonzero(labels_C == label)
        picks = own[cover(near_RC[:, own], size, weights_of(failed))]
        # Where all failed rows are covered, whatever is left is of no use here.
        queues.append([pool[i] for i in picks if near_RC[:, i].any()])
    return in_turn(queues)


def _keys(rows: Sequence[Example], fields: PredictorFields) -> NDArray[np.str_]:
    """One text a row for its labels of the closed fields; free texts do not count."""
    closed = [f for f, labels in fields.outputs.items() if labels]
    return np.array([repr([str(e.labels.get(f)) for f in closed]) for e in rows])


PROPOSER = NearestProposer
