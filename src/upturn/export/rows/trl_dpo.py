"""TRL rows for preference optimization: ``prompt``, ``chosen`` and ``rejected``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from upturn.export.rows.base import Material, Needs
from upturn.export.rows.files import write_lines


class TrlDpoWriter:
    """Writes each pair with its kind, weight and events."""

    name: ClassVar[str] = "trl-dpo"
    title: ClassVar[str] = "TRL DPO"
    needs: ClassVar[Needs] = Needs.PAIRS
    trains: ClassVar[bool] = True

    def write(self, material: Material, out: Path) -> int:
        """See :class:`~upturn.export.rows.base.Writer`."""
        render = material.rendering
        return write_lines(
            out,
            (
                {
                    "prompt": render.prompt(pair.inputs),
                    "chosen": render.said(pair.chosen),
                    "rejected": render.said(pair.rejected),
                    "kind": str(pair.kind),
                    "weight": float(pair.weight),
                    "event_ids": list(pair.event_ids),
                }
                for _, pair in material.preferred()
            ),
        )


WRITER = TrlDpoWriter()
