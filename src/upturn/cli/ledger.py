"""``upturn ledger``: what is left of each holdout's error budget, and the keys that sign."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, WorkspacePath

if TYPE_CHECKING:
    from upturn.pipeline.audit.budget import HoldoutBudget, LedgerState


def ledger(
    program: Annotated[
        str | None, typer.Argument(help="Only this program; all of them by default.")
    ] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    make_key: Annotated[
        Path | None,
        typer.Option("--make-key", help="Make a key pair for signing in this folder, and stop."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show looks used and left at each holdout, overrides, and the ledger's head."""
    if make_key is not None:
        _make_key(make_key, as_json=as_json)
        return
    from datetime import UTC, datetime

    from upturn.ledger import Ledger
    from upturn.pipeline.audit.budget import ledger_state
    from upturn.pipeline.store import check_known, existing

    entries = Ledger(existing(workspace).ledger, clock=lambda: datetime.now(UTC)).entries()
    check_known(entries, program)
    state = ledger_state(entries, program)
    if as_json:
        console.answer(state.to_json())
    else:
        _show(state)


def _make_key(folder: Path, *, as_json: bool) -> None:
    from upturn.ledger import KEY_VARIABLE, make_key

    private, public = make_key(folder)
    if as_json:
        console.answer({"private": str(private), "public": str(public)})
        return
    console.say(f"private key: {private} (readable by you alone; keep it out of the workspace)")
    console.say(f"public key:  {public} (for whoever verifies)")
    console.say(f"next: export {KEY_VARIABLE}={private}, and upturn verify --key {public}")


def _show(state: LedgerState) -> None:
    console.table(
        ["holdout", "programs", "looks", "left", "alpha spent", "alpha left", "fresh rows needed"],
        [_row(h) for h in state.holdouts],
    )
    console.say(f"promotions: {state.promotions}, overrides: {state.overrides}")
    signed = f"{state.signed} signed" if state.signed else "not signed"
    console.say(f"{state.entries} entries, {signed}, head {state.head}")


def _row(h: HoldoutBudget) -> list[str]:
    left = h.left
    fresh = "fresh rows" if left.fresh_rows is None else f"{left.fresh_rows} rows"
    when = f"by {h.fresh_rows_by[:10]}" if h.fresh_rows_by else f"after {left.looks_left} looks"
    return [
        h.holdout[:12],
        ", ".join(h.programs),
        str(left.looks_taken),
        str(left.looks_left),
        f"{left.spent:.4f} of {left.alpha:g}",
        f"{left.left:.4f}",
        f"{fresh} {when if left.looks_left else 'now'}",
    ]
