"""TRL rows for supervised fine-tuning: ``prompt`` and ``completion``, which train no prompt."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from upturn.export.rows.base import Material, Needs
from upturn.export.rows.files import write_lines


class TrlSftWriter:
    """Writes each row with its id, weight and events; TRL ignores columns that it does not know."""

    name: ClassVar[str] = "trl-sft"
    title: ClassVar[str] = "TRL SFT"
    needs: ClassVar[Needs] = Needs.ROWS
    trains: ClassVar[bool] = True

    def write(self, material: Material, out: Path) -> int:
        """See :class:`~upturn.export.rows.base.Writer`."""
        render = material.rendering
        return write_lines(
            out,
            (
                {
                    "prompt": render.prompt(row.inputs),
                    "completion": render.said(row.labels),
                    "id": row.id,
                    "weight": float(row.weight),
                    "event_ids": list(row.event_ids),
                }
                for _, row in material.labelled()
            ),
        )


WRITER = TrlSftWriter()
