"""Children of the candidates that did well: parts exchanged, demo sets and instructions united."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, zip_longest

from upturn.programs import PredictorFields
from upturn.propose.base import Demos, Evidence, Proposal
from upturn.propose.drawing import widest_field
from upturn.propose.sources import Sources
from upturn.propose.wording import Wording
from upturn.records import Json, PromptState, canonical_json


@dataclass(frozen=True)
class CrossoverProposer:
    """Crosses the best survivors, predictor by predictor. Nothing in the first generation.

    Offers each parent's instruction and demos as they are, so that one parent's instruction can
    meet another's demos; and for each two parents the union of their demos, cut to the cap with
    labels in turn, and the union of what their instructions say.
    """

    name: str = "crossover"
    parents: int = 3

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        survivors, sources = evidence.survivors[: self.parents], Sources(evidence.train)
        for predictor, fields in evidence.program.predictors.items():
            states = [s.candidate.states[predictor] for s in survivors]
            yield from self._kept(predictor, states, sources)
            for left, right in combinations(states, 2):
                yield from self._united(predictor, fields, left, right, evidence, sources)

    def _kept(
        self, predictor: str, states: Sequence[PromptState], sources: Sources
    ) -> Iterable[Proposal]:
        origin = f"{self.name}:parent"
        for state in states:
            yield Proposal(predictor=predictor, origin=origin, instruction=state.instruction)
            yield sources.proposal(predictor, origin, state.demos)

    def _united(
        self,
        predictor: str,
        fields: PredictorFields,
        left: PromptState,
        right: PromptState,
        evidence: Evidence,
        sources: Sources,
    ) -> Iterable[Proposal]:
        demos = united_demos(left.demos, right.demos, widest_field(fields), evidence.max_demos)
        yield sources.proposal(predictor, f"{self.name}:demos", demos)
        labels = {label for labels in fields.outputs.values() for label in labels or ()}
        ours, theirs = (Wording.parse(s.instruction, labels) for s in (left, right))
        yield Proposal(
            predictor=predictor,
            origin=f"{self.name}:instruction",
            instruction=ours.merged(theirs).text,
        )


def united_demos(left: Demos, right: Demos, field: str | None, size: int) -> Demos:
    """At most ``size`` demos of both sets, none twice: the sets in turn, within that the labels."""
    both = [d for pair in zip_longest(left, right) for d in pair if d is not None]
    unique = {canonical_json(dict(d)): d for d in both}
    queues: dict[str, list[Mapping[str, Json]]] = {}
    for demo in unique.values():
        queues.setdefault(str(demo.get(field or "")), []).append(demo)
    turns = zip_longest(*queues.values())
    return tuple(d for turn in turns for d in turn if d is not None)[:size]


PROPOSER = CrossoverProposer
