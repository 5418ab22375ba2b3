"""Finds targets by name: every module of ``targets/``."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from upturn.errors import InputError
from upturn.events.problems import one_of
from upturn.export.serving.base import Target

_FOLDER = "upturn.export.serving.targets"


@cache
def target_names() -> tuple[str, ...]:
    """Returns the names of all targets, sorted."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(import_module(_FOLDER).__path__)))


@cache
def target(name: str) -> Target:
    """Returns a target.

    Raises:
        InputError: there is no such target.
    """
    if name not in target_names():
        raise InputError(f"--to {one_of(target_names(), name)}", fix="upturn export --help")
    return import_module(f"{_FOLDER}.{name}").TARGET
