"""A ``datasets`` folder, for ``datasets.load_from_disk(folder)[split]``.

Columns: ``inputs.<field>``, ``labels.<field>``, ``id``, ``weight``, ``reason``, ``event_ids``,
``time`` and ``slices`` (JSON). A column whose values are all texts, all truth values, all whole
numbers or all numbers keeps them; every other value (lists, objects, mixtures) is JSON in text,
because a column has one type.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from upturn.errors import MissingExtraError
from upturn.export.rows.base import Material, Needs
from upturn.export.rows.files import write_folder
from upturn.records import Example, Json

_KINDS: tuple[tuple[tuple[type, ...], str], ...] = (
    ((str,), "string"),
    ((bool,), "bool"),
    ((int,), "int64"),
    ((int, float), "float64"),
)
_WHOLE = 2**63  # numbers beyond do not fit the type


class HuggingFaceWriter:
    """Writes a ``DatasetDict`` with one data set per split.

    Columns have one type over all splits. An empty split is left out.
    """

    name: ClassVar[str] = "hf"
    title: ClassVar[str] = "Hugging Face datasets folder"
    needs: ClassVar[Needs] = Needs.ROWS
    trains: ClassVar[bool] = False

    def write(self, material: Material, out: Path) -> int:
        """See :class:`~upturn.export.rows.base.Writer`; ``out`` must be new or empty.

        Raises:
            MissingExtraError: the extra ``hub`` is not installed.
        """
        try:
            import datasets
        except ImportError:
            raise MissingExtraError("hub", "a datasets folder") from None
        splits = {name: rows for name, rows in material.rows.items() if rows}
        kinds = _kinds([row for rows in splits.values() for row in rows])
        features = datasets.Features(
            {n: datasets.Value(k.replace("json", "string")) for n, k in kinds.items()}
            | {n: datasets.Value("string") for n in ("id", "reason", "time", "slices")}
            | {"weight": datasets.Value("float64")}
            | {"event_ids": datasets.List(datasets.Value("string"))}
        )

        def fill(beside: Path) -> None:
            made: dict[Any, Any] = {
                name: datasets.Dataset.from_list([_row(r, kinds) for r in rows], features=features)
                for name, rows in splits.items()
            }
            with _quiet(datasets):
                datasets.DatasetDict(made).save_to_disk(str(beside))

        write_folder(out, fill)
        return sum(len(rows) for rows in splits.values())


@contextmanager
def _quiet(datasets: ModuleType) -> Generator[None]:
    """Shows no bar, and leaves the switch as it was: it is one for the whole process."""
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _fields(row: Example) -> dict[str, Json]:
    inputs = {f"inputs.{name}": value for name, value in row.inputs.items()}
    return inputs | {f"labels.{name}": value for name, value in row.labels.items()}


def _kinds(rows: Sequence[Example]) -> dict[str, str]:
    """Returns column -> type, ``json`` standing for text that holds JSON."""
    kinds: dict[str, set[type]] = {}
    large: set[str] = set()
    for row in rows:
        for name, value in _fields(row).items():
            seen = kinds.setdefault(name, set())
            if value is not None:
                seen.add(type(value))
            if type(value) is int and not -_WHOLE <= value < _WHOLE:
                large.add(name)
    return {n: "json" if n in large else _kind(seen) for n, seen in kinds.items()}


def _kind(seen: set[type]) -> str:
    for types, kind in _KINDS:
        if seen <= set(types):
            return kind
    return "json"


def _row(row: Example, kinds: Mapping[str, str]) -> dict[str, Json]:
    values = _fields(row)
    columns = {name: _value(values.get(name), kind) for name, kind in kinds.items()}
    return columns | {
        "id": row.id,
        "reason": row.reason,
        "time": row.time,
        "slices": json.dumps(dict(row.slices), ensure_ascii=False, sort_keys=True),
        "weight": float(row.weight),
        "event_ids": list(row.event_ids),
    }


def _value(value: Json, kind: str) -> Json:
    if value is None or kind != "json":
        return value
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


WRITER = HuggingFaceWriter()
