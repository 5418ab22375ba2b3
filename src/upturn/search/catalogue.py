"""The catalogue: every choice of a study, named by content and frozen before the first trial.

Optuna needs a closed set of scalar choices for the life of a study, so trials speak in ids and the
catalogue turns ids into prompts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from upturn.propose import Proposal
from upturn.records import Candidate, Json, PromptState, content_hash

Choices = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Choice name (``predictor.instruction``, ``predictor.demos``) -> id -> proposal.

    Attributes:
        options: the choices; ids are ``i-…`` or ``d-…`` and a content hash, in a stable order.
    """

    options: Mapping[str, Mapping[str, Proposal]]

    @classmethod
    def build(cls, proposals: Iterable[Proposal]) -> Catalogue:
        """Names each proposal by its content; of equals the first proposer is remembered."""
        found: dict[str, dict[str, Proposal]] = {}
        for p in proposals:
            found.setdefault(f"{p.predictor}.{p.kind}", {}).setdefault(option_id(p), p)
        return cls(options={k: dict(sorted(v.items())) for k, v in sorted(found.items())})

    @property
    def id(self) -> str:
        return content_hash({k: sorted(v) for k, v in self.options.items()}, length=12)

    @property
    def size(self) -> int:
        """Number of distinct candidates that the choices span."""
        total = 1
        for options in self.options.values():
            total *= len(options)
        return total

    def choices(self, candidate: Candidate) -> Choices:
        """Returns the ids that spell a candidate whose parts are in the catalogue."""
        out: dict[str, str] = {}
        for predictor, state in candidate.states.items():
            parts = (
                Proposal(predictor=predictor, origin="", instruction=state.instruction),
                Proposal(predictor=predictor, origin="", demos=state.demos),
            )
            out |= {f"{predictor}.{p.kind}": option_id(p) for p in parts}
        return out

    def candidate(self, choices: Choices) -> Candidate:
        """Returns the candidate that the ids spell."""
        predictors = sorted({name.rpartition(".")[0] for name in choices})
        states = {p: self._state(p, choices) for p in predictors}
        return Candidate(states=states, choices=dict(choices))

    def _state(self, predictor: str, choices: Choices) -> PromptState:
        instruction = self._pick(f"{predictor}.instruction", choices).instruction
        demos = self._pick(f"{predictor}.demos", choices).demos
        assert instruction is not None
        assert demos is not None
        return PromptState(instruction=instruction, demos=demos)

    def _pick(self, name: str, choices: Choices) -> Proposal:
        return self.options[name][choices[name]]

    def origins(self, choices: Choices) -> dict[str, str]:
        """Choice name -> which proposer made it."""
        return {name: self._pick(name, choices).origin for name in choices}

    def to_json(self) -> dict[str, Json]:
        return {
            name: {
                i: {
                    "origin": p.origin,
                    "instruction": p.instruction,
                    "demos": None if p.demos is None else [dict(d) for d in p.demos],
                    "example_ids": list(p.example_ids),
                }
                for i, p in options.items()
            }
            for name, options in self.options.items()
        }


def option_id(proposal: Proposal) -> str:
    """``i-`` or ``d-`` and the hash of what is proposed, whoever proposed it."""
    if proposal.demos is None:
        return "i-" + content_hash(proposal.instruction, length=8)
    return "d-" + content_hash([dict(d) for d in proposal.demos], length=8)
