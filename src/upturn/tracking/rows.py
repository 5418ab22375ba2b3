"""An evaluation as a table that can be read row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from upturn.records import Evaluation, Example, Json, Row

_TAIL = ("failure", "message", "latency_s", "cost_usd", "calls", "cached_calls", "group")


class Table(TypedDict):
    """Columns and rows; MLflow's table viewer reads this as it is."""

    columns: list[str]
    data: list[list[Json]]


def rows_table(rows: Evaluation, examples: Sequence[Example] = ()) -> Table:
    """Returns one line per row: id, outcome, score, inputs, labels beside answers, parts, costs.

    Columns are the same for every line; a value that a row has not is None. Worst rows first,
    because those are the ones a person opens the table for. Column names hold no dot: MLflow's
    viewer takes one for a path and shows an empty column.
    """
    known = {e.id: e for e in examples}
    lines = [_line(r, known.get(r.example_id)) for r in sorted(rows.rows, key=_worst_first)]
    names = list(dict.fromkeys(name for line in lines for name in line if name not in _TAIL))
    columns = [*names, *_TAIL] if lines else []
    return {"columns": columns, "data": [[line.get(c) for c in columns] for line in lines]}


def _worst_first(row: Row) -> tuple[float, str]:
    return (-1.0 if row.value is None else row.value, row.example_id)


def _line(row: Row, example: Example | None) -> dict[str, Json]:
    line: dict[str, Json] = {"example": row.example_id, "outcome": row.outcome, "score": row.score}
    if example is not None:
        line.update(_prefixed("input", example.inputs))
    names = [*(example.labels if example else {}), *row.outputs]
    for name in dict.fromkeys(names):
        if example is not None and name in example.labels:
            line[f"label {name}"] = example.labels[name]
        line[f"answer {name}"] = row.outputs.get(name)
    line.update(_prefixed("part", row.parts))
    line.update({name: getattr(row, name) for name in _TAIL})
    return line


def _prefixed(prefix: str, values: Mapping[str, Json]) -> dict[str, Json]:
    return {f"{prefix} {k}".replace(".", "_"): v for k, v in values.items()}
