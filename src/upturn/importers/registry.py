"""Finds importers by name, and the format of a file by its first records."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module

from upturn.errors import DataError
from upturn.events.problems import one_of
from upturn.importers.base import Importer
from upturn.records import Json

#: Modules of this folder that are no formats.
_OWN = frozenset({"base", "fields", "registry", "mapped", "mlflow_store"})


@cache
def importer_names() -> tuple[str, ...]:
    """Returns the names of all formats, sorted: every module of this folder that is one."""
    folder = import_module("upturn.importers").__path__
    names = (m.name for m in pkgutil.iter_modules(folder))
    return tuple(sorted(n for n in names if n not in _OWN and not n.startswith("_")))


@cache
def importer(name: str) -> Importer:
    """Returns the importer of a format.

    Raises:
        DataError: there is no such format.
    """
    if name not in importer_names():
        raise DataError(f"format {one_of(importer_names(), name)}", fix="upturn ingest --help")
    return import_module(f"upturn.importers.{name}").IMPORTER


def recognise(records: Sequence[Mapping[str, Json]], *, where: str = "") -> Importer:
    """Returns the one importer that recognises most of some records, and all others fewer.

    Raises:
        DataError: no format, or more than one, recognises them; the message names the candidates.
    """
    claims = {n: sum(importer(n).recognises(r) for r in records) for n in importer_names()}
    most = max(claims.values(), default=0)
    best = [n for n, count in claims.items() if count == most and most]
    if len(best) == 1:
        return importer(best[0])
    rule = "fits more than one" if best else "fits none"
    candidates = best or importer_names()
    keys = sorted({k for r in records for k in r})[:12]
    raise DataError(
        f"the format must be one that is known; {rule} of: {', '.join(candidates)}; "
        f"the records have the keys {', '.join(keys) or '(none)'}",
        where=where,
        fix=f"name it with --format {candidates[0]} (or another of these), or describe it in a "
        "file and use --format map:FILE.yaml",
    )
