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
#: How demos may be ordered; ``given`` leaves them as proposed.
ORDERS = ("given", "short_first", "short_last", "reversed")
_SETTING = "@"


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Choice name -> id -> proposal.

    A choice is ``PREDICTOR.instruction``, ``PREDICTOR.demos``, or ``@NAME`` for a setting of the
    whole program. Two settings are spelled out here and leave no trace in the candidate's own:
    ``@n_demos`` cuts every demo set, ``@order`` (one of ``ORDERS``) arranges it.

    Attributes:
        options: the choices; ids are ``i-…`` or ``d-…`` and a content hash, or ``s-VALUE``, in a
            stable order. Every setting has ``s-default``: as the config has it.
    """

    options: Mapping[str, Mapping[str, Proposal]]

    @classmethod
    def build(cls, proposals: Iterable[Proposal]) -> Catalogue:
        """Names each proposal by its content; of equals the first proposer is remembered."""
        found: dict[str, dict[str, Proposal]] = {}
        for p in proposals:
            options = found.setdefault(choice_name(p), {})
            if p.setting is not None:
                as_is = Proposal(predictor="", origin="config", setting=(p.setting[0], None))
                options.setdefault(option_id(as_is), as_is)
            options.setdefault(option_id(p), p)
        return cls(options={k: dict(sorted(v.items())) for k, v in sorted(found.items())})

    @property
    def id(self) -> str:
        return content_hash({k: sorted(v) for k, v in self.options.items()}, length=12)

    @property
    def size(self) -> int:
        """Number of combinations that the choices span."""
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
            out |= {choice_name(p): option_id(p) for p in parts}
        for name in self.options:
            if name.startswith(_SETTING):
                value = candidate.settings.get(name[1:])
                out[name] = option_id(Proposal(predictor="", origin="", setting=(name[1:], value)))
        return out

    def candidate(self, choices: Choices) -> Candidate:
        """Returns the candidate that the ids spell."""
        settings = self._settings(choices)
        n_demos, order = settings.pop("n_demos", None), settings.pop("order", None)
        parts = [name for name in choices if not name.startswith(_SETTING)]
        predictors = sorted({name.rpartition(".")[0] for name in parts})
        states = {p: _arranged(self._state(p, choices), n_demos, order) for p in predictors}
        return Candidate(states=states, choices=dict(choices), settings=settings)

    def _settings(self, choices: Choices) -> dict[str, Json]:
        found = [self._pick(name, choices).setting for name in choices if name[0] == _SETTING]
        return {s[0]: s[1] for s in found if s is not None and s[1] is not None}

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
                    "setting": None if p.setting is None else list(p.setting),
                    "example_ids": list(p.example_ids),
                    "event_ids": list(p.event_ids),
                }
                for i, p in options.items()
            }
            for name, options in self.options.items()
        }


def choice_name(proposal: Proposal) -> str:
    """``PREDICTOR.instruction``, ``PREDICTOR.demos`` or ``@NAME``."""
    if proposal.setting is not None:
        return _SETTING + proposal.setting[0]
    return f"{proposal.predictor}.{proposal.kind}"


def option_id(proposal: Proposal) -> str:
    """``i-`` or ``d-`` and the hash of what is proposed, whoever proposed it; ``s-VALUE``."""
    if proposal.setting is not None:
        value = proposal.setting[1]
        return "s-default" if value is None else f"s-{value}"
    if proposal.demos is None:
        return "i-" + content_hash(proposal.instruction, length=8)
    return "d-" + content_hash([dict(d) for d in proposal.demos], length=8)


def _arranged(state: PromptState, n_demos: int | None, order: str | None) -> PromptState:
    demos = state.demos if n_demos is None else state.demos[:n_demos]
    if order in ("short_first", "short_last"):
        demos = tuple(sorted(demos, key=lambda d: len(str(d)), reverse=order == "short_last"))
    elif order == "reversed":
        demos = demos[::-1]
    return PromptState(instruction=state.instruction, demos=demos)
