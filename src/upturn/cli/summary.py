"""The end of ``upturn run``: what a person understands in ten seconds."""

from __future__ import annotations

import sys

from upturn.cli import console
from upturn.pipeline.result import TurnResult

_COLOURS = {"PROMOTE": "green", "HOLD": "yellow", "INCONCLUSIVE": "yellow"}


def show(result: TurnResult) -> None:
    """Prints the summary: framed on a terminal, plain text elsewhere."""
    text = f"{result.summary}\n  report  {result.report}"
    if result.repeated:
        text += "\n   again  the same question was answered before; nothing was run or spent now"
    if not sys.stdout.isatty():
        console.say(text)
        return
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    # Text, not markup: what the summary quotes may come from users.
    style = _COLOURS.get(result.verdict, "red")
    Console(highlight=False).print(Panel(Text(text), border_style=style, expand=False))
