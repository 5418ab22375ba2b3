"""How the program is run, as choices: temperature, adapter, module, model, number and order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from upturn.propose.base import Evidence, Proposal
from upturn.records import Json


@dataclass(frozen=True)
class SettingsProposer:
    """Each value of a space as a setting of the whole program; ``search.space`` is such a space.

    Not a proposer by name: it is made where the space is known.

    Attributes:
        space: name (see ``Candidate.settings``, also ``n_demos`` and ``order``) -> values to try.
            Null stands for what the config has, which every setting offers anyway.
    """

    space: Mapping[str, Sequence[Json]]
    name: str = "settings"

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        for setting, values in self.space.items():
            for value in values:
                if value is not None:
                    origin = f"{self.name}:{setting}"
                    yield Proposal(predictor="", origin=origin, setting=(setting, value))
