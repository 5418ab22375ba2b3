"""The end of ``upturn run``: what a person understands in ten seconds."""

from __future__ import annotations

import sys

from upturn.cli import console
from upturn.pipeline.parts import Parts
from upturn.pipeline.result import TurnResult


def show(parts: Parts, result: TurnResult) -> None:
    """Prints the summary: framed on a terminal, plain text elsewhere."""
    from upturn.report.summary import summary_panel, summary_text

    report = parts.report_of(result)
    if sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(summary_panel(report))
    else:
        console.say(summary_text(report))
    console.say(f"  report  {result.report}")
