"""Finds writers by name: every module of this folder that is a format."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from upturn.errors import DataError
from upturn.events.problems import one_of
from upturn.export.rows.base import Writer

#: Modules of this folder that are no formats.
_OWN = frozenset({"base", "files", "preferences", "program", "registry", "rendering"})


@cache
def writer_names() -> tuple[str, ...]:
    """Returns the names of all formats that can be written, sorted."""
    folder = import_module("upturn.export.rows").__path__
    names = (m.name for m in pkgutil.iter_modules(folder))
    return tuple(sorted(n.replace("_", "-") for n in names if n not in _OWN))


@cache
def writer(name: str) -> Writer:
    """Returns the writer of a format.

    Raises:
        DataError: there is no such format.
    """
    if name not in writer_names():
        raise DataError(f"format {one_of(writer_names(), name)}", fix="upturn dataset --help")
    return import_module(f"upturn.export.rows.{name.replace('-', '_')}").WRITER
