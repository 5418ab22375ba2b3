"""TRL rows for KTO: ``prompt``, ``completion`` and ``label``, true where the answer is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from upturn.export.rows.base import Material, Needs
from upturn.export.rows.files import write_lines


class TrlKtoWriter:
    """Writes each judged answer with its weight and events."""

    name: ClassVar[str] = "trl-kto"
    title: ClassVar[str] = "TRL KTO"
    needs: ClassVar[Needs] = Needs.KTO
    trains: ClassVar[bool] = True

    def write(self, material: Material, out: Path) -> int:
        """See :class:`~upturn.export.rows.base.Writer`."""
        render = material.rendering
        return write_lines(
            out,
            (
                {
                    "prompt": render.prompt(row.inputs),
                    "completion": render.said(row.completion),
                    "label": bool(row.desirable),
                    "weight": float(row.weight),
                    "event_ids": list(row.event_ids),
                }
                for _, row in material.judged()
            ),
        )


WRITER = TrlKtoWriter()
