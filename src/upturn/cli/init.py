"""``upturn init``: a working program, config, jobs and sample log in an empty folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upturn.cli import console


def init(
    folder: Annotated[Path, typer.Argument(help="An empty folder, or one to be made.")] = Path(),
    log: Annotated[
        bool, typer.Option(help="Write the sample log too; needs the [local] extra.")
    ] = True,
) -> None:
    """Write a working program, its config, fine-tune jobs and a sample production log."""
    from upturn.quickstart.project import write_project

    written = write_project(folder, progress=console.progress(), with_log=log)
    for path in written:
        console.say(f"  wrote {path}")
    prefix = "" if folder == Path() else f"cd {folder} && "
    console.say(f"next: {prefix}upturn run configs/ticket_triage.yaml")
