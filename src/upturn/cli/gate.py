"""``upturn gate``: the gate's decision over two files of rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import AsJson
from upturn.cli.turn import STRICT_EXIT

if TYPE_CHECKING:
    from upturn.gate import GateReport


def gate(
    baseline: Annotated[
        Path, typer.Option("--baseline", help="Rows of what runs now, one JSON object a line.")
    ],
    challenger: Annotated[
        Path, typer.Option("--challenger", help="The same rows, run by what may replace it.")
    ],
    design: Annotated[
        str, typer.Option("--design", help="When rows are looked at, e.g. group_sequential.")
    ] = "fixed",
    design_setting: Annotated[
        list[str] | None,
        typer.Option(
            "--design-setting", help="One of the design's own, e.g. stages=4; repeatable."
        ),
    ] = None,
    alpha: Annotated[
        float, typer.Option("--alpha", help="One-sided error level of this look at these rows.")
    ] = 0.05,
    min_gain: Annotated[
        float, typer.Option("--min-gain", help="The smallest gain worth a release.")
    ] = 0.0,
    ci: Annotated[
        bool,
        typer.Option("--ci", help="Write Markdown, to $GITHUB_STEP_SUMMARY where that is set."),
    ] = False,
    summary: Annotated[
        Path | None, typer.Option("--summary", help="Write the same Markdown to a file (.md).")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write JUnit XML: the verdict, and each guard.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Decide over two files of rows; exits 0 on PROMOTE, 3 on HOLD or INCONCLUSIVE."""
    from upturn.cli.gate_ci import Outputs
    from upturn.gate import GateRules
    from upturn.gate import design as named
    from upturn.gate.files import decide_files, settings_of

    outputs = Outputs(ci=ci, summary=summary, junit=junit)
    rules = GateRules(
        min_gain=min_gain, alpha=alpha, design=named(design, settings_of(design_setting or []))
    )
    report = decide_files(baseline, challenger, rules=rules)
    told = outputs.write(report)
    if as_json:
        console.answer(report.to_json())
    elif ci:
        console.say(told)
    else:
        _show(report)
    return 0 if report.verdict == "PROMOTE" else STRICT_EXIT


def _show(report: GateReport) -> None:
    from upturn.report.format import counts, effect, p_equals, p_value, percent, staged

    for notice in report.notices:
        console.say(f"READ FIRST: {notice}")
    console.say(str(report.verdict))
    for reason in report.reasons:
        console.say(f"- {reason}")
    sides = (
        ("baseline", report.baseline_score, report.baseline_counts),
        ("challenger", report.challenger_score, report.challenger_counts),
    )
    console.table(
        ["side", "score", "rows"], [[n, percent(score), counts(rows)] for n, score, rows in sides]
    )
    console.say(f"difference {effect(report)}, {report.n} rows in {report.groups} groups")
    console.say(
        f"{report.test}: one-sided {p_equals(report.p_value)}, allowed {p_value(report.allowed)}"
    )
    if report.staged:
        console.say(staged(report.staged))
    if report.effective_rows is not None:
        console.say(f"weighted: worth {report.effective_rows:.1f} rows of equal weight")
