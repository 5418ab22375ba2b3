"""Slices that nobody named: parts of the rows found in inputs and labels, never in answers.

They are cut from train, so that nothing of the holdout shapes them, and are fixed before any of its
rows is run:

- every value of an input or label that takes few values (text, whole number, true or false), where
  at least one row in twenty has it;
- for every other input that is a text, three thirds by its length.

They reach the gate as slices of the rows under names that start with ``auto``, where Holm's
correction pays for their number (see ``slices``). Those cut by a label are shown and not judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from upturn.gate.slices import AUTOMATIC
from upturn.records import Example, Json

#: A field with more values than this is no category.
_VALUES = 12
#: Rows in a hundred that a value must have, and the longest text that is a value.
_SHARE, _LONGEST = 0.05, 80
_THIRDS = ("short", "medium", "long")


@dataclass(frozen=True, kw_only=True)
class AutomaticSlices:
    """How rows are cut.

    Attributes:
        values: slice name -> the values that are slices of it; the name is a side and a field.
        lengths: slice name -> the last number of characters of the first and the second third.
    """

    values: Mapping[str, frozenset[str]]
    lengths: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, train: Sequence[Example]) -> AutomaticSlices:
        """Finds the slices of some rows; their order has no effect."""
        columns: dict[str, list[Json]] = {}
        for row in train:
            for name, value in _fields(row).items():
                columns.setdefault(name, []).append(value)
        values, lengths = dict[str, frozenset[str]](), dict[str, tuple[int, int]]()
        for name, column in sorted(columns.items()):
            common = _common([_value(v) for v in column], len(train))
            if common is not None:
                values[name] = common
            elif name.startswith("input ") and all(isinstance(v, str) for v in column):
                cuts = _thirds([len(v) for v in column])
                if cuts is not None:
                    lengths[name] = cuts
        return cls(values=values, lengths=lengths)

    def apply(self, rows: Sequence[Example]) -> tuple[Example, ...]:
        """Returns the rows with these slices besides their own."""
        return tuple(replace(r, slices={**r.slices, **self._slices(r)}) for r in rows)

    def _slices(self, row: Example) -> dict[str, str]:
        fields, found = _fields(row), dict[str, str]()
        for name, known in self.values.items():
            value = _value(fields.get(name))
            if value in known:
                found[f"{AUTOMATIC}{name}"] = value
        for name, cuts in self.lengths.items():
            text = fields.get(name)
            if isinstance(text, str):
                found[f"{AUTOMATIC}{name} length"] = _THIRDS[sum(len(text) > c for c in cuts)]
        return found


def _fields(row: Example) -> dict[str, Json]:
    sides = (("input", row.inputs), ("label", row.labels))
    return {f"{side} {name}": value for side, held in sides for name, value in held.items()}


def _value(value: Json) -> str:
    """The name of a value that can be a category; "" of any other."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | str) and len(str(value)) <= _LONGEST else ""


def _common(column: Sequence[str], rows: int) -> frozenset[str] | None:
    """The values that enough rows have, or None where the column is no category."""
    counts = Counter(column)
    if not all(counts) or not 2 <= len(counts) <= _VALUES:
        return None
    return frozenset(v for v, n in counts.items() if n >= _SHARE * rows)


def _thirds(lengths: Sequence[int]) -> tuple[int, int] | None:
    first, second = (int(q) for q in np.quantile(lengths, (1 / 3, 2 / 3), method="lower"))
    return (first, second) if first < second < max(lengths) else None
