"""How a candidate is run, where that differs from the config."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, cast

from upturn.errors import ConfigError
from upturn.records import Candidate

Adapter = Literal["chat", "json", "xml"]
Shape = Literal["predict", "cot"]

_CHOICES = {"adapter": ("chat", "json", "xml"), "module": ("predict", "cot")}
_NAMES = ("temperature", "adapter", "module", "model", "weights", "rollout")
_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``Candidate.settings``, checked; None is "as the config or the program has it".

    Attributes:
        temperature: of sampling, from 0 to 2.
        adapter: the prompt format.
        module: "cot" lets every predictor reason before it answers, "predict" none.
        model: name of a connection.
        weights: id of a trained adapter that is on, 12 hex digits.
        rollout: which of several answers to the same request is asked for; 0 is the first.
    """

    temperature: float | None = None
    adapter: Adapter = "chat"
    module: Shape | None = None
    model: str | None = None
    weights: str | None = None
    rollout: int = 0

    @classmethod
    def of(cls, candidate: Candidate) -> Settings:
        """Reads a candidate's settings.

        Raises:
            ConfigError: a name or a value that nothing here can apply.
        """
        found = {name: value for name, value in candidate.settings.items() if value is not None}
        problems = [p for name, value in found.items() if (p := _problem(name, value))]
        if problems:
            raise ConfigError("; ".join(problems), where=f"candidate {candidate.id}")
        return cls(**cast(Any, found))

    @property
    def lines(self) -> tuple[str, ...]:
        """What is not as the config has it, for people."""
        named = ((name, getattr(self, name)) for name in _NAMES)
        defaults = Settings()
        return tuple(f"{n}: {v}" for n, v in named if v != getattr(defaults, n))


def _problem(name: str, value: Any) -> str:
    if name in _CHOICES:
        ok = value in _CHOICES[name]
        return "" if ok else f"{name} must be one of {', '.join(_CHOICES[name])}, got {value!r}"
    if name == "temperature":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        ok = number and 0.0 <= value <= 2.0
        return "" if ok else f"temperature must be a number from 0 to 2, got {value!r}"
    if name == "rollout":
        ok = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return "" if ok else f"rollout must be a whole number >= 0, got {value!r}"
    if name == "model":
        return "" if isinstance(value, str) else f"model must be a name, got {value!r}"
    if name == "weights":
        ok = isinstance(value, str) and _ID.fullmatch(value)
        return "" if ok else f"weights must be an adapter's id, 12 hex digits, got {value!r}"
    return f"a setting must be one of {', '.join(_NAMES)}, got {name!r}"
