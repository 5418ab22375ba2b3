"""Bootstrapped demos: what the program itself answered right on train."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from upturn.programs import PredictorFields
from upturn.propose.balanced import balanced_order
from upturn.propose.base import Evidence, Proposal, events_of, labelled_demo
from upturn.propose.credit import Trace, leader
from upturn.propose.drawing import balanced_draw, part_of, widest_field
from upturn.records import Example, Json

Shown = tuple[Example, dict[str, Json]]


@dataclass(frozen=True)
class BootstrappedProposer:
    """Runs the best candidate so far on some train rows and keeps its traces that scored full.

    The only proposer that gives demos to inner predictors of a program with several. Sets cover the
    traces, labels taking turns where a field is closed; draws after the first see a random part of
    them and are of full size only. A ``mixed`` set is filled with labelled rows of which there is
    no trace, as in DSPy's BootstrapFewShot: what is answered right already is easy.
    """

    name: str = "bootstrapped"
    threshold: float = 1.0
    draws: int = 3
    share: float = 0.7
    #: Traces in a mixed set, as a share.
    traced: float = 0.5

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        right = self._right(evidence)
        smallest = evidence.sizes()[0]
        if len(right) < smallest:
            evidence.tell(
                self.name,
                f"rows that scored full: {len(right)} of {evidence.bootstrap_rows} at most; "
                f"the smallest set needs {smallest}",
            )
        candidate = leader(evidence)
        traces = {e.id: evidence.evaluator.trace(candidate, e) for e in right}
        for draw in range(self.draws):
            for predictor, fields in evidence.program.predictors.items():
                yield from self._sets(evidence, predictor, fields, right, traces, draw)

    def _right(self, evidence: Evidence) -> list[Example]:
        """The train rows that the candidate answers right."""
        field = _field(evidence)
        order = balanced_draw(evidence.demo_pool(), field, evidence.rng(self.name))
        rows = order[: evidence.bootstrap_rows]
        result = evidence.evaluator.evaluate(leader(evidence), rows)
        pairs = zip(rows, result.rows, strict=True)
        return [e for e, r in pairs if r.value is not None and r.value >= self.threshold]

    def _sets(
        self,
        evidence: Evidence,
        predictor: str,
        fields: PredictorFields,
        right: Sequence[Example],
        traces: Mapping[str, Trace],
        draw: int,
    ) -> Iterable[Proposal]:
        rng = evidence.rng(f"{self.name}:{draw}")
        order = self._covering(right, _field(evidence), evidence, draw, rng)
        own = [(e, dict(traces[e.id][predictor])) for e in order if predictor in traces[e.id]]
        labelled = self._labelled(evidence, fields, right, draw, rng)
        for size in evidence.sizes() if draw == 0 else evidence.sizes()[-1:]:
            if len(own) >= size:
                yield _proposal(predictor, f"{self.name}:{size}", own[:size])
            kept = own[: max(1, round(size * self.traced))]
            if kept and len(kept) + len(labelled) >= size > len(kept):
                mixed = [*kept, *labelled[: size - len(kept)]]
                yield _proposal(predictor, f"{self.name}:mixed:{size}", mixed)

    def _labelled(
        self,
        evidence: Evidence,
        fields: PredictorFields,
        right: Sequence[Example],
        draw: int,
        rng: np.random.Generator,
    ) -> list[Shown]:
        """Labelled demos of other rows; none where the predictor has a field without a label."""
        traced = {e.id for e in right}
        demos = ((e, labelled_demo(fields, e)) for e in evidence.demo_pool() if e.id not in traced)
        shown = {e.id: (e, dict(demo)) for e, demo in demos if demo is not None}
        rest = [e for e, _ in shown.values()]
        order = self._covering(rest, widest_field(fields), evidence, draw, rng)
        return [shown[e.id] for e in order]

    def _covering(
        self,
        rows: Sequence[Example],
        field: str | None,
        evidence: Evidence,
        draw: int,
        rng: np.random.Generator,
    ) -> list[Example]:
        part = part_of(rows, 1.0 if draw == 0 else self.share, rng)
        return balanced_order(part, field, evidence.max_demos, rng)


def _field(evidence: Evidence) -> str | None:
    """The program's own closed field with most labels, or that of its only predictor."""
    return widest_field(evidence.program.fields)


def _proposal(predictor: str, origin: str, shown: Sequence[Shown]) -> Proposal:
    return Proposal(
        predictor=predictor,
        origin=origin,
        demos=tuple(demo for _, demo in shown),
        example_ids=tuple(e.id for e, _ in shown),
        event_ids=events_of(e for e, _ in shown),
    )


PROPOSER = BootstrappedProposer
