"""``upturn doctor``: is this machine and this workspace fit for a turn?"""

from __future__ import annotations

from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, WorkspacePath


def doctor(
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    repair_cache: Annotated[
        bool, typer.Option("--repair-cache", help="Drop broken answers; whole ones are kept.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Check versions, the embedded model, the workspace, its ledger, snapshots and cache."""
    from upturn.pipeline.examination import examine, mend_cache

    if repair_cache:
        console.progress().step("repair", mend_cache(workspace))
    findings = examine(workspace)
    if as_json:
        console.answer(
            {"ok": all(f.ok for f in findings), "checks": [f.to_json() for f in findings]}
        )
    else:
        rows = [["ok" if f.ok else "MEND", f.name, f.detail] for f in findings]
        console.table(["", "check", "found"], rows)
    return 0 if all(f.ok for f in findings) else 2
