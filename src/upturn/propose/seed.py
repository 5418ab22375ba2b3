"""The prompt that runs now, and the same without demos: every search must be able to stay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from upturn.propose.base import Evidence, Proposal
from upturn.propose.sources import Sources


@dataclass(frozen=True)
class SeedProposer:
    """The program as written, the candidate that runs now, and no demos at all."""

    name: str = "seed"

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        sources = Sources(evidence.train)
        origins = ((evidence.program.seed, "seed"), (evidence.start, "champion"))
        for candidate, origin in origins:
            for predictor, state in candidate.states.items():
                yield Proposal(predictor=predictor, origin=origin, instruction=state.instruction)
                yield sources.proposal(predictor, origin, state.demos)
        for predictor in evidence.start.states:
            yield Proposal(predictor=predictor, origin="no-demos", demos=())


PROPOSER = SeedProposer
