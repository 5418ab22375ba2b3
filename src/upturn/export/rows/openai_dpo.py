"""OpenAI's file for preference optimization, which Azure and Fireworks take too.

The format has no place for metadata, so ids and weights are not in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from upturn.export.rows.base import Material, Needs, Pair
from upturn.export.rows.files import write_lines
from upturn.export.rows.rendering import Rendering
from upturn.records import Json


class OpenAiDpoWriter:
    """Writes each pair as a prompt, the better and the worse answer."""

    name: ClassVar[str] = "openai-dpo"
    title: ClassVar[str] = "OpenAI DPO"
    needs: ClassVar[Needs] = Needs.PAIRS
    trains: ClassVar[bool] = True

    def write(self, material: Material, out: Path) -> int:
        """See :class:`~upturn.export.rows.base.Writer`."""
        return write_lines(
            out, (_line(pair, material.rendering) for _, pair in material.preferred())
        )


def _line(pair: Pair, render: Rendering) -> dict[str, Json]:
    return {
        "input": {
            "messages": render.prompt(pair.inputs),
            "tools": [],
            "parallel_tool_calls": True,
        },
        "preferred_output": render.said(pair.chosen),
        "non_preferred_output": render.said(pair.rejected),
    }


WRITER = OpenAiDpoWriter()
