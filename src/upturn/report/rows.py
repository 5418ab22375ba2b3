"""The rows that a challenger fixed and the rows that it broke."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from upturn.records import Evaluation, Example, Json, Row, pair


@dataclass(frozen=True, kw_only=True)
class RowChange:
    """One holdout row on which the two sides differ.

    Attributes:
        example_id: the row.
        inputs: what was asked, as text by field.
        wanted: the label by field.
        before, after: the two answers by field, or what went wrong.
        gain: challenger's score minus champion's.
    """

    example_id: str
    inputs: Mapping[str, str]
    wanted: Mapping[str, str]
    before: Mapping[str, str]
    after: Mapping[str, str]
    gain: float


def row_changes(
    champion: Evaluation, challenger: Evaluation, examples: Sequence[Example], *, limit: int = 20
) -> tuple[list[RowChange], list[RowChange]]:
    """Returns the rows fixed and the rows broken, largest change first, ``limit`` of each.

    Only rows whose score is known on both sides are compared; own failures count as 0.
    """
    known = {e.id: e for e in examples}
    found = [
        _change(b, c, known.get(b.example_id), c.value - b.value)
        for b, c in pair(champion.rows, challenger.rows)
        if b.value is not None and c.value is not None and c.value != b.value
    ]
    fixed = sorted((f for f in found if f.gain > 0), key=lambda f: (-f.gain, f.example_id))
    broken = sorted((f for f in found if f.gain < 0), key=lambda f: (f.gain, f.example_id))
    return fixed[:limit], broken[:limit]


def _change(before: Row, after: Row, example: Example | None, gain: float) -> RowChange:
    return RowChange(
        example_id=before.example_id,
        inputs=_texts(example.inputs) if example else {},
        wanted=_texts(example.labels) if example else {},
        before=_answer(before),
        after=_answer(after),
        gain=gain,
    )


def _answer(row: Row) -> Mapping[str, str]:
    return {"failed": f"{row.failure}: {row.message}"} if row.failure else _texts(row.outputs)


def _texts(values: Mapping[str, Json]) -> dict[str, str]:
    return {
        k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False, default=str)
        for k, v in values.items()
    }
