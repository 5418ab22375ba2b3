"""``upturn report``: the report of a turn, as a page, Markdown or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, Tracking, WorkspacePath

if TYPE_CHECKING:
    from upturn.pipeline.finding import Stored


def report(
    run: Annotated[
        str,
        typer.Argument(help="A turn (its first letters will do), PROGRAM@VERSION, or a program."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Write it to a file: .html, .md or .json.")
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    tracking: Tracking = "",
    as_json: AsJson = False,
) -> None:
    """Show or write the report of one turn; of a program, that of its latest."""
    from upturn.cli.writing import check_out, write_out
    from upturn.pipeline.finding import find_report

    if out is not None:
        check_out(out, (".html", ".md", ".json"))
    found = find_report(workspace, run, uri=tracking)
    if out is not None:
        write_out(out, {".html": found.page, ".md": found.markdown, ".json": found.to_json})
    if as_json:
        console.answer(found.to_json())
    else:
        _show(found, out)
    if open_page:
        import webbrowser

        webbrowser.open((out or found.path).resolve().as_uri())


def _show(found: Stored, out: Path | None) -> None:
    from upturn.report import summary_text

    for line in found.overrides:
        console.say(f"OVERRIDE: {line}")
    console.say(summary_text(found.document.turn))
    console.say(f"  report  {out or found.path}")
