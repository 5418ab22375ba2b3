"""``upturn verify``: holds the ledger, its mirror and its evidence against each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, Tracking, WorkspacePath

if TYPE_CHECKING:
    from upturn.pipeline.audit.verification import Verification

#: What a ledger that does not hold exits with: something the machine's owner must mend.
BROKEN_EXIT = 2


def verify(
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", help="A public key (PEM) that must have signed; may be repeated."),
    ] = None,
    tracking: Tracking = "",
    as_json: AsJson = False,
) -> int:
    """Check the ledger and derive every decision again; exits 0 where all of it holds."""
    from upturn.pipeline.audit.opening import verify_workspace

    found = verify_workspace(workspace, uri=tracking, keys=key or ())
    if as_json:
        console.answer(found.to_json())
    else:
        _show(found)
    return 0 if found.ok else BROKEN_EXIT


def _show(found: Verification) -> None:
    signed = f"{found.signed} signed" if found.signed else "not signed"
    if found.signed:
        signed += ", held against the key" if found.keys else ", not held against a key (--key)"
    number, _, digest = found.head.partition(":")
    console.say(f"{found.entries} entries, head {number}:{digest[:12]}; {signed}")
    console.say(
        f"{found.rederived} of {found.decisions} decisions derived again; looks: {found.looks}, "
        f"promotions: {found.promotions}, overrides: {found.overrides}"
    )
    for remark in found.remarks:
        console.say(f"- {remark}")
    for problem in found.problems[:20]:
        console.say(f"entry {problem.entry}: {problem.what}\n  next: {problem.fix}")
    console.say("it all holds" if found.ok else f"does not hold from entry {found.first_bad} on")
