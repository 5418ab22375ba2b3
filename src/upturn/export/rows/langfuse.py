"""Langfuse dataset items: a JSON array of bodies for ``POST /api/public/dataset-items``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from upturn.export.rows.base import Material, Needs, provenance
from upturn.export.rows.files import write_array


class LangfuseWriter:
    """Writes input, expected output and metadata.

    Langfuse updates an item whose id it knows, and an id is of one data set for good; so the id
    names the snapshot too.
    """

    name: ClassVar[str] = "langfuse"
    title: ClassVar[str] = "Langfuse dataset items"
    needs: ClassVar[Needs] = Needs.ROWS
    trains: ClassVar[bool] = False

    def write(self, material: Material, out: Path) -> int:
        """See :class:`~upturn.export.rows.base.Writer`."""
        return write_array(
            out,
            (
                {
                    "datasetName": material.name,
                    "id": f"{material.snapshot[:12]}-{row.id}",
                    "input": dict(row.inputs),
                    "expectedOutput": dict(row.labels),
                    "metadata": provenance(row, split) | {"snapshot": material.snapshot},
                    "status": "ACTIVE",
                }
                for split, row in material.labelled()
            ),
        )


WRITER = LangfuseWriter()
