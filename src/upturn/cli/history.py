"""``upturn history``: looks, decisions, promotions and roll-backs, as the ledger keeps them."""

from __future__ import annotations

from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, WorkspacePath


def history(
    program: Annotated[
        str | None, typer.Argument(help="Only this program; all of them by default.")
    ] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Show every look at a holdout, decision, promotion and roll-back."""
    from datetime import UTC, datetime

    from upturn.ledger import Ledger
    from upturn.pipeline.store import existing

    ledger = Ledger(existing(workspace).ledger, clock=lambda: datetime.now(UTC))
    entries = [e.to_json() for e in ledger.entries(program)]
    if as_json:
        counts = {
            k: sum(e["kind"] == k for e in entries) for k in ("promotion", "look", "rollback")
        }
        console.answer(
            {
                "promotions": counts["promotion"],
                "looks": counts["look"],
                "rollbacks": counts["rollback"],
                "entries": entries,
            }
        )
        return
    rows = [[e["time"][:19], e["program"], e["kind"], _detail(e)] for e in entries]
    console.table(["time", "program", "what", "detail"], rows)


def _detail(entry: dict[str, console.Json]) -> str:
    data = entry["data"]
    if entry["kind"] == "look":
        return f"look {data['number']} at holdout {data['holdout'][:12]}, alpha {data['alpha']:g}"
    if entry["kind"] == "decision":
        report = data["report"]
        effect = report.get("effect")
        shown = (
            ""
            if effect is None
            else f" {effect:+.3f} [{report['low']:+.3f}, {report['high']:+.3f}]"
        )
        return f"{data['verdict']}{shown} on {report.get('n', 0)} rows"
    arrow = f"version {data.get('previous') or '-'} -> {data.get('version')}"
    return f"{arrow}  {data.get('who', '')}  {data.get('reason', '')}".rstrip()
