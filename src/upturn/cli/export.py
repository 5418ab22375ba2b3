"""``upturn export``: a version as plain files for serving."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, Program, Tracking, WorkspacePath


def export(
    program: Program,
    version: Annotated[
        str | None, typer.Option("--version", help="The version; the champion by default.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The folder to write.")] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    tracking: Tracking = "",
    as_json: AsJson = False,
) -> None:
    """Write a version as a folder of plain files with a manifest and a card."""
    from upturn.errors import InputError
    from upturn.export import export_version
    from upturn.pipeline.store import open_registry

    with open_registry(workspace, uri=tracking) as registry:
        found = registry.load(program, version) if version else registry.champion(program)
    if found is None:
        raise InputError(f"{program} has no champion", fix="upturn ls")
    folder = export_version(found, out or Path("exported") / program)
    if as_json:
        console.answer({"program": program, "version": found.version, "folder": str(folder)})
    else:
        console.say(f"{program} version {found.version} is in {folder}")
        console.say(f"  load it: program.load('{folder}/program.json')")
