"""LangSmith examples: a JSON array for ``client.create_examples(dataset_id=…, examples=…)``."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import ClassVar

from upturn.export.rows.base import Material, Needs, provenance
from upturn.export.rows.files import write_array

_NAMESPACE = uuid.UUID("6f7a3f1e-6a0e-5a51-9c0b-5d1b6f3f2f10")  # ours; never change it


class LangSmithWriter:
    """Writes inputs, reference outputs, split and metadata.

    The id is derived from snapshot and row, so that uploading a snapshot twice makes no second
    example.
    """

    name: ClassVar[str] = "langsmith"
    title: ClassVar[str] = "LangSmith examples"
    needs: ClassVar[Needs] = Needs.ROWS
    trains: ClassVar[bool] = False

    def write(self, material: Material, out: Path) -> int:
        """See :class:`~upturn.export.rows.base.Writer`."""
        return write_array(
            out,
            (
                {
                    "id": str(uuid.uuid5(_NAMESPACE, f"{material.snapshot}/{row.id}")),
                    "inputs": dict(row.inputs),
                    "outputs": dict(row.labels),
                    "split": split,
                    "metadata": provenance(row, split) | {"snapshot": material.snapshot},
                }
                for split, row in material.labelled()
            ),
        )


WRITER = LangSmithWriter()
