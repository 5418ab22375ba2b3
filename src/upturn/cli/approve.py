"""``upturn approve``: promote the version that a turn with ``promotion: ask`` left waiting."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, Because, Program, Tracking, WorkspacePath


def approve(
    program: Program,
    version: Annotated[
        str | None, typer.Argument(help="The staged version; whatever is staged by default.")
    ] = None,
    because: Because = "approved",
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    tracking: Tracking = "",
    as_json: AsJson = False,
) -> None:
    """Make the staged version the champion, and write it into the ledger."""
    from upturn.pipeline.store import open_releases
    from upturn.pipeline.world import user

    tell = partial(console.progress().step, "release")
    with open_releases(workspace, program, uri=tracking, tell=tell) as releases:
        approved = releases.approve(version, who=user(), because=because)
    if as_json:
        console.answer({"program": program, "champion": approved})
    else:
        console.say(f"{program} version {approved} is the champion")
