"""``upturn evaluate``: one version's rows on dev, in a file that ``upturn gate`` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import AsJson, ConfigPath, Overrides


def evaluate(
    config: ConfigPath,
    overrides: Overrides = None,
    rows: Annotated[Path, typer.Option("--rows", help="The file to write, .jsonl.")] = Path(
        "rows.jsonl"
    ),
    version: Annotated[
        str, typer.Option("--version", help="A version, `champion`, or `seed`: as written.")
    ] = "seed",
    as_json: AsJson = False,
) -> None:
    """Run one version on dev rows and write a row a line. The holdout stays sealed."""
    from upturn.cli.writing import check_out, write_out
    from upturn.pipeline.comparison import gate_rows, run_on_dev
    from upturn.pipeline.parts import Parts
    from upturn.pipeline.world import real_world

    check_out(rows, (".jsonl",), option="--rows")
    parts = Parts.load(config, overrides)
    run = run_on_dev(parts, [version], real_world(console.progress()))
    found = run.sides[0].evaluation
    lines = [json.dumps(row, ensure_ascii=False) for row in gate_rows(found)]
    write_out(rows, {".jsonl": lambda: "\n".join(lines)})
    if as_json:
        console.answer(
            {
                "program": parts.config.name,
                "version": version,
                "candidate": found.candidate_id,
                "score": found.score,
                "rows": len(lines),
                "calls": run.calls,
                "file": str(rows),
            }
        )
        return
    score = "not known" if found.score is None else f"{found.score:.3f}"
    console.say(f"{parts.config.name} {version}: dev score {score} ({found.denominator})")
    console.say(f"wrote {len(lines)} rows to {rows}")
