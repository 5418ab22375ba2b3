"""``upturn run --quote``: what a turn would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upturn.cli import console

if TYPE_CHECKING:
    from upturn.pipeline.parts import Parts
    from upturn.report.quote import Quote


def show_quote(parts: Parts, latency_s: float | None, *, as_json: bool) -> None:
    """Prints the quote: tables for a person, one object with ``--json``."""
    from upturn.pipeline.quote_dry import quote_config
    from upturn.pipeline.world import real_world

    made = quote_config(parts, real_world(console.progress()), latency_s=latency_s)
    if as_json:
        console.answer(made.to_json())
    else:
        _tell(made)


def _tell(made: Quote) -> None:
    from upturn.report.quote import part_rows, quote_rows

    console.say(f"{made.program} on {made.model}: one turn, before anything is spent")
    _table(["", "low", "expected", "high"], quote_rows(made))
    console.say()
    _table(["step", "calls", "money"], part_rows(made))
    console.say()
    for note in made.notes:
        console.say(f"  {note}")


def _table(columns: list[str], rows: list[list[str]]) -> None:
    """Numbers end under one another."""
    cells = [columns, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        console.say("  ".join([row[0].ljust(widths[0]), *rest]).rstrip())
