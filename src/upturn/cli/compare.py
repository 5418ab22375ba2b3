"""``upturn compare``: two versions side by side on dev, and what differs between their prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import AsJson


def compare(
    a: Annotated[str, typer.Argument(help="A version, `champion` or `seed`.")],
    b: Annotated[str, typer.Argument(help="A version, `champion` or `seed`.")],
    config: Annotated[
        Path | None,
        typer.Option("--config", help="The config; the only one in configs/ by default."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two versions on dev rows. It is no verdict: only the gate sees the holdout."""
    from upturn.pipeline.comparison import compare_versions
    from upturn.pipeline.world import real_world

    found = compare_versions(config or _only_config(), a, b, real_world(console.progress()))
    if as_json:
        console.answer(found.to_json())
        return
    console.say(f"{found.program}: {found.n} dev rows in {found.groups} groups (not the holdout)")
    rows = [
        [side.name, f"{side.score:.3f}" if side.score is not None else "-", side.denominator]
        for side in (found.a, found.b)
    ]
    console.table(["version", "dev score", "rows"], rows)
    if found.effect is not None:
        console.say(f"{b} - {a}: {found.effect:+.3f} [{found.low:+.3f}, {found.high:+.3f}] at 90 %")
    for line in found.patch:
        console.say(line)


def _only_config() -> Path:
    from upturn.errors import InputError

    found = sorted(Path("configs").glob("*.yaml"))
    if len(found) != 1:
        names = ", ".join(map(str, found)) or "none"
        raise InputError(
            f"there must be one config to compare for, found {names}",
            fix="upturn compare A B --config configs/NAME.yaml",
        )
    return found[0]
