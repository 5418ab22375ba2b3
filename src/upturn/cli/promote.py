"""``upturn promote``: make a registered version the champion."""

from __future__ import annotations

from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, Program, Reason, Tracking, WorkspacePath


def promote(
    program: Program,
    version: Annotated[str, typer.Argument(help="The version, as `upturn ls` shows it.")],
    reason: Reason = "promoted by hand",
    force: Annotated[
        bool, typer.Option("--force", help="Promote a version that no gate promoted.")
    ] = False,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    tracking: Tracking = "",
    as_json: AsJson = False,
) -> None:
    """Make a registered version the champion, and write it into the ledger."""
    from upturn.pipeline.store import open_releases
    from upturn.pipeline.world import user

    with open_releases(workspace, program, uri=tracking) as releases:
        turn = releases.registry.load(program, version).turn
        releases.promote(version, turn=turn, who=user(), reason=reason, force=force)
    if as_json:
        console.answer({"program": program, "champion": version})
    else:
        console.say(f"{program} version {version} is the champion")
