"""Finds proposers: those of this folder by themselves, a user's own by ``file.py:Name``."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from upturn.errors import ProgramError
from upturn.programs import load_object
from upturn.propose.base import Proposer

#: Runs first: of equal choices the first proposer is remembered, and what runs now is no discovery.
_FIRST = "seed"


def discover(package: ModuleType) -> dict[str, type[Proposer]]:
    """Returns module name -> ``PROPOSER`` for the modules of a package that end in one.

    The order is that in which they run: ``seed``, then by name.

    Raises:
        ProgramError: a ``PROPOSER`` is none, or its name is not its module's.
    """
    names = (m.name for m in pkgutil.iter_modules(package.__path__))
    modules = {n: import_module(f"{package.__name__}.{n}") for n in names if n != "registry"}
    found = {n: m.PROPOSER for n, m in modules.items() if hasattr(m, "PROPOSER")}
    for name, kind in found.items():
        made = _made(kind, where=f"propose/{name}.py:PROPOSER")
        if made.name != name:
            raise ProgramError(
                f"a proposer's name must be that of its file: {name!r}, got {made.name!r}",
                where=f"propose/{name}.py",
            )
    return {n: found[n] for n in sorted(found, key=lambda n: (n != _FIRST, n))}


def resolve(name: str, root: Path, known: Mapping[str, type[Proposer]]) -> Proposer:
    """Returns a known proposer, or the user's own at ``file.py:Name``; see ``propose.find``."""
    if name in known:
        return known[name]()
    if ":" not in name:
        raise ProgramError(
            f"a proposer must be one of {', '.join(known)}, or a 'file.py:Name', got {name!r}",
            where="search.proposers",
        )
    own = _made(load_object(name, root)[0], where=name)
    if own.name in known:
        raise ProgramError(
            f"a proposer of your own needs a name of its own, got {own.name!r}",
            where=name,
            fix=f"rename it; taken are {', '.join(known)}",
        )
    return own


def _made(kind: Any, *, where: str) -> Proposer:
    """Builds a proposer of a class that needs no arguments."""
    if not isinstance(kind, type) or not callable(getattr(kind, "propose", None)):
        raise ProgramError(
            f"a proposer must be a class with propose(evidence), got {kind!r}", where=where
        )
    try:
        made: Any = kind()
    except Exception as error:  # the user's constructor may raise anything
        raise ProgramError(
            f"a proposer must be built without arguments: {type(error).__name__}: {error}",
            where=where,
        ) from error
    if not isinstance(getattr(made, "name", None), str) or not made.name:
        raise ProgramError("a proposer must have a name that is a text", where=where)
    return made
