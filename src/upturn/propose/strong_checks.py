"""Instructions that a model wrote: what is taken off them, and which are refused."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: An instruction is text, not a table of all cases.
MAX_INSTRUCTION_CHARS = 4000
#: A run of more characters in common with a text of a user is a copy of it.
MAX_RUN_CHARS = 60
_MARKERS = re.compile(r"\[\[\s*##")
_FENCED = re.compile(r"```[^\n`]*\n(?P<body>.*?)\n?```", re.DOTALL)


def tidy(text: str) -> str:
    """Returns an instruction without what models put around it: blanks, one fence, quotes."""
    stripped = text.strip()
    whole = _FENCED.fullmatch(stripped)
    stripped = (whole["body"] if whole else stripped).strip()
    quoted = len(stripped) > 1 and stripped[0] == stripped[-1] == '"'
    return stripped[1:-1].strip() if quoted else stripped


def fault(text: str, *, current: str, quoted: Iterable[str]) -> str | None:
    """Returns why a written instruction is refused, or None.

    Args:
        text: the instruction, tidied.
        current: the one that it was made from.
        quoted: what users wrote and the model was shown; copies of it are refused.
    """
    if not text:
        return "it is empty"
    if text == current:
        return "it is the current one"
    if len(text) > MAX_INSTRUCTION_CHARS:
        return f"it must have at most {MAX_INSTRUCTION_CHARS:,} characters, got {len(text):,}"
    if _MARKERS.search(text):
        return "it holds the markers of a chat format"
    # What the instruction said before may stay, whoever else said it too.
    said = (q for q in quoted if not copies(current, [q]))
    return "it copies what a user wrote" if copies(text, said) else None


def copies(text: str, quoted: Iterable[str], *, longest: int = MAX_RUN_CHARS) -> bool:
    """Tells whether a text has a run of more than ``longest`` characters of a quoted one.

    Blanks count as one, and letters without their case.
    """
    written, size = _level(text), longest + 1
    known = {written[i : i + size] for i in range(len(written) - longest)}
    return any(
        said[i : i + size] in known
        for said in map(_level, quoted)
        for i in range(len(said) - longest)
    )


def _level(text: str) -> str:
    return " ".join(text.casefold().split())
