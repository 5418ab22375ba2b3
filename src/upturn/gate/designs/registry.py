"""Finds designs by name: every module of this folder that is one."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib import import_module
from typing import Any

from upturn.errors import ConfigError
from upturn.events.problems import did_you_mean, found, one_of
from upturn.gate.designs.base import Design
from upturn.records import Json

#: Modules of this folder that are no designs.
_OWN = frozenset({"base", "registry"})
_KINDS: Mapping[Any, str] = {int: "a whole number", float: "a number", str: "a text"}


@cache
def design_names() -> tuple[str, ...]:
    """Returns the names of all designs, sorted."""
    folder = import_module("upturn.gate.designs").__path__
    return tuple(sorted(m.name for m in pkgutil.iter_modules(folder) if m.name not in _OWN))


def design(name: str, settings: Mapping[str, Json] | None = None) -> Design:
    """Returns a design.

    Args:
        name: the name of its file.
        settings: its own settings; what is left out keeps the design's default.

    Raises:
        ConfigError: there is no such design, it has no such setting, or a value breaks its rule.
    """
    if name not in design_names():
        raise ConfigError(f"design {one_of(design_names(), name)}")
    made = import_module(f"upturn.gate.designs.{name}").DESIGN
    known: dict[str, Any] = {f.name: type(f.default) for f in fields(made) if f.name != "name"}
    for key, value in (settings or {}).items():
        if key not in known:
            has = f"has the settings {', '.join(known)}" if known else "has no settings"
            raise ConfigError(f"design {name} {has}; got {key}{did_you_mean(key, known)}")
        # A whole number is a number; true is neither.
        kinds = (int, float) if known[key] is float else (known[key],)
        if isinstance(value, bool) or not isinstance(value, kinds):
            wanted = _KINDS[known[key]]
            raise ConfigError(f"design {name}: {key} must be {wanted}, got {found(value)}")
    return made(**(settings or {}))
