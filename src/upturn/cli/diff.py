"""``upturn diff``: what one version's prompt, settings and weights change against another's."""

from __future__ import annotations

from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, Program, Tracking, WorkspacePath

_NAME = "A version, `champion`, `staging`, or `seed` for the program as it was adopted."


def diff(
    program: Program,
    a: Annotated[str, typer.Argument(help=_NAME)],
    b: Annotated[str, typer.Argument(help="The other one.")],
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    tracking: Tracking = "",
    as_json: AsJson = False,
) -> None:
    """Show what differs between two versions; no model is run."""
    from upturn.pipeline.releases.diff import diff_versions
    from upturn.pipeline.store import open_registry

    with open_registry(workspace, uri=tracking) as registry:
        found = diff_versions(registry, program, a, b)
    if as_json:
        console.answer(found.to_json())
        return
    for line in found.lines():
        console.say(line)
