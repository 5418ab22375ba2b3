"""Under which conditions a candidate's rows run: its module, its model and its prompt format."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from upturn.errors import ConfigError
from upturn.programs import Built, Program, Settings
from upturn.records import Candidate

if TYPE_CHECKING:
    from upturn.lm.connect import Connection
    from upturn.weights.adapter import Adapter


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """One candidate, ready to run.

    Attributes:
        built: the program with the candidate's prompt, in its shape.
        lm: the model, at the candidate's temperature.
        adapter: the prompt format.
        prompt_chars: length of the candidate's instructions and demos.
    """

    built: Built
    lm: Any
    adapter: Any
    prompt_chars: int

    def context(self, trace: list[Any] | None = None) -> contextvars.Context:
        """Returns a context in which DSPy uses this model and format, and keeps no history.

        Plain threads do not inherit DSPy's context: each row runs in its own copy of this one.
        """
        import dspy

        from upturn.lm import rollout

        with (
            rollout(self.built.settings.rollout),
            dspy.context(lm=self.lm, adapter=self.adapter, trace=trace, disable_history=True),
        ):
            return contextvars.copy_context()


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where candidates get what they run with.

    Attributes:
        program: the program.
        connection: the config's model.
        connections: further models, by the names that the setting ``model`` uses.
        adapters: trained weights, by the ids that the setting ``weights`` uses.
    """

    program: Program
    connection: Connection
    connections: Mapping[str, Connection]
    adapters: Mapping[str, Adapter] = field(default_factory=dict)

    def prepare(self, candidate: Candidate) -> Conditions:
        """Applies a candidate's prompt and settings.

        Raises:
            ConfigError: a setting cannot be applied, no connection has the model's name, or no
                adapter the weights' id.
            ModelError: the weights are not for this model.
            ProgramError: the candidate does not fit the program.
        """
        from upturn.lm.adapters import adapter

        built = self.program.assemble(candidate)
        return Conditions(
            built=built,
            lm=self._lm(built.settings),
            adapter=adapter(built.settings.adapter),
            prompt_chars=candidate.prompt_chars,
        )

    def _lm(self, settings: Settings) -> Any:
        connection = self._connection(settings.model)
        if settings.weights is not None:
            connection = connection.with_weights(self._adapter(settings.weights))
        if settings.temperature is None:
            return connection.lm
        return connection.lm.copy(temperature=settings.temperature)

    def _connection(self, name: str | None) -> Connection:
        if name is None:
            return self.connection
        if name not in self.connections:
            raise ConfigError(
                f"the setting model must be one of {', '.join(self.connections) or '(none)'}, "
                f"got {name!r}",
                where="models",
                fix=f"add {name} under `models` in the config",
            )
        return self.connections[name]

    def _adapter(self, name: str) -> Adapter:
        if name not in self.adapters:
            raise ConfigError(
                f"the setting weights must be one of {', '.join(self.adapters) or '(none)'}, "
                f"got {name!r}",
                where="weights",
                fix="train the adapter, or take it from the registry, before it is run",
            )
        return self.adapters[name]
