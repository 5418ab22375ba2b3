"""Between DSPy's objects and our records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from upturn.programs import Built
from upturn.records import Candidate, Example, Json, PromptState


def dspy_rows(examples: Sequence[Example]) -> list[Any]:
    """Each example as DSPy wants it: inputs and labels, the inputs marked."""
    return [dspy.Example(**e.inputs, **e.labels).with_inputs(*e.inputs) for e in examples]


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads what a module's predictors are set to.

    Attributes:
        names: DSPy's name of a predictor -> the candidate's; they differ where predictors reason.
        settings: how every candidate is run.
        origin: whose candidates they are.
    """

    names: Mapping[str, str]
    settings: Mapping[str, Json]
    origin: str

    @classmethod
    def of(cls, built: Built, start: Candidate, origin: str) -> Reader:
        """For modules that are copies of a built one."""
        ours = {id(predictor): name for name, predictor in built.predictors.items()}
        names = {name: ours[id(p)] for name, p in built.module.named_predictors()}
        return cls(names=names, settings=start.settings, origin=origin)

    def candidate(self, module: Any) -> Candidate:
        """Returns the candidate that a module is set to.

        A demo keeps the fields of its predictor and nothing else: DSPy's own marks are never shown
        to the model.
        """
        states = {
            self.names[name]: PromptState(
                instruction=predictor.signature.instructions,
                demos=tuple(_shown(demo, predictor.signature.fields) for demo in predictor.demos),
            )
            for name, predictor in module.named_predictors()
        }
        choices = {"origin": self.origin}
        return Candidate(states=states, choices=choices, settings=dict(self.settings))


def _shown(demo: Any, fields: Mapping[str, Any]) -> dict[str, Json]:
    return {name: value for name, value in dict(demo).items() if name in fields}


def samples(module: Any) -> bool:
    """Whether a predictor has a model of its own: DSPy samples it, it does not judge it."""
    return any(predictor.lm is not None for predictor in module.predictors())
