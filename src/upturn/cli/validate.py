"""``upturn validate``: checks a config and all it names; calls no model, writes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import AsJson, Overrides


def validate(
    config: Annotated[
        Path | None, typer.Argument(help="The config, e.g. configs/ticket_triage.yaml.")
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a config and exit.")
    ] = False,
) -> None:
    """Check a config, its program, metric and data, without a model call."""
    if schema:
        from upturn.config import json_schema

        console.answer(json_schema())
        return
    if config is None:
        raise typer.BadParameter("name a config, or ask for --schema")
    facts = _facts(config, overrides)
    if as_json:
        console.answer(facts)
        return
    rows = facts["data"]["rows"]
    console.say(f"{config}: valid")
    console.say(f"  program    {facts['program']}  ({', '.join(facts['predictors'])})")
    if facts["frozen"]:
        frozen = ", ".join(facts["frozen"])
        console.say(f"  frozen     {frozen}: compiled, so DSPy hides their predictors")
    console.say(f"  model      {facts['model']}")
    for name, count in facts["suites"].items():
        console.say(f"  suite      {name}: {count} rows")
    console.say("  rows       " + ", ".join(f"{k} {v}" for k, v in rows.items()))
    console.say(f"  to decide  about {facts['data']['holdout_rows_for_min_gain']} holdout rows")
    for notice in facts["notices"]:
        console.say(f"  notice     {notice}")
    if facts["data"]["warning"]:
        console.say(f"  warning    {facts['data']['warning']}")


def _facts(config: Path, overrides: list[str] | None) -> dict[str, console.Json]:
    from datetime import UTC, datetime

    from upturn.pipeline.judging import judge_notices
    from upturn.pipeline.parts import Parts
    from upturn.pipeline.suites import open_suites

    parts = Parts.load(config, overrides)
    return {
        "valid": True,
        "name": parts.config.name,
        "program": parts.config.program,
        "metric": parts.metric.name,
        "predictors": list(parts.program.predictors),
        "frozen": list(parts.program.frozen),
        "inputs": list(parts.program.fields.inputs),
        "outputs": {k: v and list(v) for k, v in parts.program.fields.outputs.items()},
        "model": parts.model.model,
        "notices": list(judge_notices(parts)),
        "suites": {suite.name: len(suite.bound.rows) for suite in open_suites(parts)},
        "data": parts.examine(datetime.now(UTC)),
    }
