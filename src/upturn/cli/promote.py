"""``upturn promote``: make a registered version the champion."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, Program, Tracking, WorkspacePath


def promote(
    program: Program,
    version: Annotated[str, typer.Argument(help="The version, as `upturn ls` shows it.")],
    override: Annotated[
        bool,
        typer.Option("--override", help="Promote without the gate's word; needs --because."),
    ] = False,
    because: Annotated[
        str | None,
        typer.Option("--because", help="Why, for the ledger.", show_default=False),
    ] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    tracking: Tracking = "",
    as_json: AsJson = False,
) -> None:
    """Make a registered version the champion, and write it into the ledger."""
    from upturn.errors import InputError
    from upturn.pipeline.store import open_releases
    from upturn.pipeline.world import user

    why = (because or "").strip()
    if override and not why:
        raise InputError(
            "--override must say why, got no --because",
            fix=f"upturn promote {program} {version} --override --because '…'",
        )
    tell = partial(console.progress().step, "release")
    with open_releases(workspace, program, uri=tracking, tell=tell) as releases:
        releases.promote(version, who=user(), because=why or "promoted by hand", override=override)
    if as_json:
        console.answer({"program": program, "champion": version, "override": override})
        return
    console.say(f"{program} version {version} is the champion")
    if override:
        console.say("OVERRIDE: no gate said so; the ledger and the version say that from now on")
