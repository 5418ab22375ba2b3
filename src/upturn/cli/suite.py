"""``upturn suite``: suites on one version, without a gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import AsJson, ConfigPath, Overrides
from upturn.cli.turn import STRICT_EXIT

if TYPE_CHECKING:
    from upturn.pipeline.suite_run import SuiteRun

#: Rows that failed which are shown to a person, of each suite.
_SHOWN = 20


def suite(
    config: ConfigPath,
    overrides: Overrides = None,
    suites: Annotated[
        list[str] | None,
        typer.Option("--suite", help="A file, or `safety`; may be repeated. All of the config's."),
    ] = None,
    version: Annotated[
        str, typer.Option("--version", help="A version, `champion` or `seed`.")
    ] = "champion",
    as_json: AsJson = False,
) -> int:
    """Run suites on a version; exits 0 where all are passed, 3 where one is not."""
    from upturn.pipeline.parts import Parts
    from upturn.pipeline.suite_run import run_suites
    from upturn.pipeline.world import real_world

    parts = Parts.load(config, overrides)
    done = run_suites(parts, real_world(console.progress()), version=version, paths=suites or [])
    if as_json:
        console.answer(done.to_json())
    else:
        _show(done)
    return 0 if done.ok else STRICT_EXIT


def _show(done: SuiteRun) -> None:
    from upturn.report.format import percent

    console.say(f"{done.program}, {done.version} ({done.candidate_id}): {done.calls} calls paid")
    columns = ["", "suite", "rows", "passed", "must pass", "unreadable grades"]
    rows = [
        [
            "ok" if line.ok else "FAILED",
            line.result.name,
            str(len(line.result.rows)),
            f"{line.result.passed} ({percent(line.result.share)})",
            percent(line.standing.share),
            str(line.result.invalid),
        ]
        for line in done.lines
    ]
    console.table(columns, rows)
    for line in done.lines:
        failed = [r for r in line.result.rows if r.passed is False]
        for row in failed[:_SHOWN]:
            console.say(f"  {line.result.name} {row.id}: {row.why}")
        if len(failed) > _SHOWN:
            console.say(f"  {line.result.name}: {len(failed) - _SHOWN} more, with --json")
