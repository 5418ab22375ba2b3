"""OpenAI's file for supervised fine-tuning: ``{"messages": […]}`` a line.

The format has no place for metadata, so ids and weights are not in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from upturn.export.rows.base import Material, Needs
from upturn.export.rows.files import write_lines


class OpenAiSftWriter:
    """Writes each row as a prompt and the right answer."""

    name: ClassVar[str] = "openai-sft"
    title: ClassVar[str] = "OpenAI SFT"
    needs: ClassVar[Needs] = Needs.ROWS
    trains: ClassVar[bool] = True

    def write(self, material: Material, out: Path) -> int:
        """See :class:`~upturn.export.rows.base.Writer`."""
        render = material.rendering
        return write_lines(
            out,
            (
                {"messages": [*render.prompt(row.inputs), *render.said(row.labels)]}
                for _, row in material.labelled()
            ),
        )


WRITER = OpenAiSftWriter()
