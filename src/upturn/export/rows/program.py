"""Renders rows as a DSPy program does: with the characters that its model will see."""

from __future__ import annotations

from pathlib import Path

from upturn.export.rows.rendering import Rendering
from upturn.programs import Chat, Program


def program_rendering(ref: str, root: Path) -> Rendering:
    """Returns the rendering of ``file.py:Class`` by DSPy's chat adapter.

    The program must have one predictor: the steps in between of a program with several are in no
    row. Its own instruction and demos are used, as its author wrote them.

    Args:
        ref: the program, as in a config.
        root: the folder that ``ref`` is relative to.

    Raises:
        ProgramError: it does not load, or has several predictors.
    """
    program = Program(ref, root)
    chat = Chat.of(program, program.seed)
    return Rendering(prompt=chat.prompt, answer=chat.answer)
