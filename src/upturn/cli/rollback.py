"""``upturn rollback``: make the champion before the current one the champion again."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, Because, Program, Tracking, WorkspacePath


def rollback(
    program: Program,
    to: Annotated[
        str | None, typer.Option("--to", help="The version; the champion before by default.")
    ] = None,
    because: Because = "rolled back by hand",
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    tracking: Tracking = "",
    as_json: AsJson = False,
) -> None:
    """Go back to an earlier champion, and write it into the ledger."""
    from upturn.pipeline.store import open_releases
    from upturn.pipeline.world import user

    tell = partial(console.progress().step, "release")
    with open_releases(workspace, program, uri=tracking, tell=tell) as releases:
        version = releases.rollback(to=to, who=user(), because=because)
    if as_json:
        console.answer({"program": program, "champion": version})
    else:
        console.say(f"{program} version {version} is the champion again")
