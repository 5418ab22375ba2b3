"""Which importer reads a source: the one that was named, or the one that recognises its records."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from upturn.errors import DataError
from upturn.importers import Importer, importer, recognise
from upturn.importers.mapped import load_mapping
from upturn.ingest.limits import MIB
from upturn.ingest.source import Record

#: Records by which a format is recognised, and how much is looked at to find so many good ones.
_SAMPLE = 20
_LOOKED_AT = 500
_SAMPLE_BYTES = 32 * MIB

_MAP = "map:"


def importer_named(name: str) -> Importer:
    """Returns the importer of a format's name, or of ``map:FILE``.

    Raises:
        DataError: there is no such format.
        ConfigError: the mapping file cannot be read or breaks rules.
    """
    if name.startswith(_MAP):
        return load_mapping(Path(name.removeprefix(_MAP)))
    return importer(name)


def recognised(
    records: Iterable[Record], *, where: str
) -> tuple[Importer | None, Iterator[Record]]:
    """Returns the importer of a source, and all its records again.

    None stands for a source without one readable record: whoever reads on finds rejections only.

    Raises:
        DataError: no format, or more than one, recognises the records; or none of the first 500
            is a JSON object, which means that this is no data at all.
    """
    rest, seen, good = iter(records), list[Record](), list[Record]()
    size = 0
    for record in rest:
        seen.append(record)
        size += record.size
        if record.value is not None:
            good.append(record)
        if len(good) >= _SAMPLE or len(seen) >= _LOOKED_AT or size >= _SAMPLE_BYTES:
            break
    found = None
    if good:
        found = recognise([r.value for r in good if r.value is not None], where=where)
    elif len(seen) >= _LOOKED_AT:
        raise DataError(
            f"a source must hold JSON objects, none of its first {len(seen)} records is one; the "
            f"first {seen[0].rule}",
            where=where,
        )
    return found, itertools.chain(seen, rest)
