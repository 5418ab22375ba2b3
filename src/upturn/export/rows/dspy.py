"""DSPy examples: a JSON array of ``{"example": {…}, "input_keys": […], "metadata": {…}}``.

Read it with ``[dspy.Example(**r["example"]).with_inputs(*r["input_keys"]) for r in json.load(f)]``.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from upturn.errors import DataError
from upturn.export.rows.base import Material, Needs, provenance
from upturn.export.rows.files import write_array
from upturn.records import Example, Json


class DspyWriter:
    """Writes inputs and labels of a row as the fields of one example."""

    name: ClassVar[str] = "dspy"
    title: ClassVar[str] = "DSPy examples"
    needs: ClassVar[Needs] = Needs.ROWS
    trains: ClassVar[bool] = False

    def write(self, material: Material, out: Path) -> int:
        """See :class:`~upturn.export.rows.base.Writer`."""
        return write_array(out, (_example(row, split) for split, row in material.labelled()))


def _example(row: Example, split: str) -> dict[str, Json]:
    both = sorted(set(row.inputs) & set(row.labels))
    if both:
        rule = f"a field must be an input or an output of an example, {', '.join(both)} is both"
        raise DataError(rule, where=f"row {row.id}")
    return {
        "example": {**row.inputs, **row.labels},
        "input_keys": list(row.inputs),
        "metadata": provenance(row, split),
    }


WRITER = DspyWriter()
