"""What can be read from a ``dspy.Module`` without importing DSPy."""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any


def is_module(value: Any) -> bool:
    """Whether a value is an instance of ``dspy.Module``."""
    dspy = sys.modules.get("dspy")
    return dspy is not None and isinstance(value, dspy.Module) and hasattr(value, "callbacks")


def sub_modules(program: Any) -> list[Any]:
    """Returns the modules inside a program, each once."""
    found = {id(m): m for _, m in program.named_sub_modules() if m is not program}
    return [m for m in found.values() if hasattr(m, "callbacks")]


def inputs_of(module: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a call's inputs by name, of what DSPy hands to callbacks: args and kwargs."""
    named: dict[str, Any] = {}
    positional = inputs.get("args", ())
    if positional:
        bound = inspect.signature(module.forward).bind_partial(*positional)
        named.update(bound.arguments)
    return named | dict(inputs.get("kwargs", {}))


def model_of(module: Any) -> str | None:
    """Returns the name of the language model that a module uses: its own, or the current one."""
    dspy = sys.modules.get("dspy")
    own = (p.lm for _, p in module.named_predictors() if p.lm is not None)
    lm = next(own, None) or (dspy.settings.lm if dspy is not None else None)
    name = getattr(lm, "model", None)
    return name if isinstance(name, str) else None


def usage_of(outputs: Any) -> dict[str, int] | None:
    """Returns the tokens that an answer took, summed over models; None where DSPy did not count
    (``dspy.configure(track_usage=True)`` makes it count)."""
    get = getattr(outputs, "get_lm_usage", None)
    by_model = get() if callable(get) else None
    if not isinstance(by_model, dict) or not by_model:
        return None
    total = Counter[str]()
    for usage in by_model.values():
        total.update({k: v for k, v in usage.items() if type(v) is int})
    return dict(total)
