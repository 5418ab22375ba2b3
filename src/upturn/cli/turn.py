"""``upturn run``: one turn of the loop."""

from __future__ import annotations

from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import AsJson, ConfigPath, Overrides

STRICT_EXIT = 3


def run(
    config: ConfigPath,
    overrides: Overrides = None,
    as_json: AsJson = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 3 on HOLD or INCONCLUSIVE, for scripts.")
    ] = False,
    quote: Annotated[
        bool, typer.Option("--quote", help="Say what the turn would cost, and spend nothing.")
    ] = False,
    latency_s: Annotated[
        float | None,
        typer.Option("--latency-s", min=0.0, help="With --quote: seconds a call takes."),
    ] = None,
) -> int:
    """Run one turn: data, search, sealed holdout, verdict, promotion."""
    from upturn.pipeline.parts import Parts
    from upturn.pipeline.turn import run_turn
    from upturn.pipeline.world import real_world

    parts = Parts.load(config, overrides)
    if quote:
        from upturn.cli.quote import show_quote

        show_quote(parts, latency_s, as_json=as_json)
        return 0
    result = run_turn(parts, real_world(console.progress()))
    if as_json:
        console.answer(result.to_json())
    else:
        from upturn.cli.summary import show

        show(result)
    return STRICT_EXIT if strict and result.verdict != "PROMOTE" else 0
