"""Finds job kinds: every module of this folder that ends in a ``KIND``."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

from upturn.errors import ConfigError
from upturn.events.problems import one_of
from upturn.finetune.kinds.base import JobKind

_PACKAGE = "upturn.finetune.kinds"
#: Listed first: it needs labels alone, and the others may go on from its adapter.
_FIRST = "sft"


def job_kinds() -> dict[str, JobKind]:
    """Returns name -> kind, in the order of lists: ``sft``, then by name.

    The folder is read at each call, so a file that was added counts at once.

    Raises:
        ConfigError: a ``KIND`` is no job kind, or its name is not its module's.
    """
    names = (m.name for m in pkgutil.iter_modules(import_module(_PACKAGE).__path__))
    modules = {n: import_module(f"{_PACKAGE}.{n}") for n in names}
    found = {n: _checked(n, m.KIND) for n, m in modules.items() if hasattr(m, "KIND")}
    return {n: found[n] for n in sorted(found, key=lambda n: (n != _FIRST, n))}


def job_kind(name: str) -> JobKind:
    """Returns the kind of a name.

    Raises:
        ConfigError: there is no such kind.
    """
    known = job_kinds()
    if name not in known:
        raise ConfigError(f"kind {one_of(known, name)}", where="kind")
    return known[name]


def _checked(name: str, kind: Any) -> JobKind:
    where = f"finetune/kinds/{name}.py:KIND"
    if not isinstance(kind, JobKind):
        raise ConfigError(f"must be an object of a JobKind, got {kind!r}", where=where)
    if kind.name != name:
        raise ConfigError(
            f"a kind's name must be that of its file: {name!r}, got {kind.name!r}", where=where
        )
    return kind
