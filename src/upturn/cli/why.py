"""``upturn why``: from a version back to its decision, its rows, and the feedback behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, Program, Tracking, WorkspacePath


def why(
    program: Program,
    version: Annotated[
        str, typer.Argument(help="A version, `champion`, `staging` or `seed`.")
    ] = "champion",
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="The config that says where events are; found by its name by default."
        ),
    ] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    tracking: Tracking = "",
    as_json: AsJson = False,
) -> None:
    """Show why a version is as it is: who released it, on what evidence, from whose feedback."""
    from upturn.pipeline.lineage.events import open_events
    from upturn.pipeline.lineage.text import lines
    from upturn.pipeline.lineage.why import explain_version
    from upturn.pipeline.store import existing, open_ledger, open_registry

    with (
        open_registry(workspace, uri=tracking) as registry,
        open_events(program, config) as events,
    ):
        told = explain_version(
            program,
            version,
            registry=registry,
            entries=open_ledger(workspace).entries(),
            snapshots=existing(workspace).snapshots,
            events=events,
        )
    if as_json:
        console.answer(told)
        return
    for line in lines(told):
        console.say(line)
