"""``upturn compare``: versions side by side on dev, and what differs between their prompts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import AsJson

if TYPE_CHECKING:
    from upturn.pipeline.comparison import Comparison


def compare(
    versions: Annotated[
        list[str],
        typer.Argument(
            metavar="A B [C…] [KEY=VALUE…]",
            help="Versions, `champion` or `seed`; then overrides of the config.",
        ),
    ],
    config: Annotated[
        Path | None,
        typer.Option("--config", help="The config; the only one in configs/ by default."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a page (.html) or the numbers (.json) too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare versions on dev rows. It is no verdict: only the gate sees the holdout."""
    from upturn.cli.writing import check_out, write_out
    from upturn.pipeline.comparison import compare_versions
    from upturn.pipeline.parts import Parts
    from upturn.pipeline.world import real_world

    names = [v for v in versions if "=" not in v]
    parts = Parts.load(config or _only_config(), [v for v in versions if "=" in v])
    if out is not None:
        check_out(out, (".html", ".json"))
    found = compare_versions(parts, names, real_world(console.progress()))
    if out is not None:
        write_out(out, {".html": found.page, ".json": found.to_json})
    if as_json:
        console.answer(found.to_json())
        return
    _show(found)
    if out is not None:
        console.say(f"wrote {out}")


def _show(found: Comparison) -> None:
    console.say(f"{found.program}: {found.n} dev rows in {found.groups} groups (not the holdout)")
    first = found.sides[0].evaluation
    rows = [[found.a.name, _score(first.score), "", "", found.a.denominator]]
    rows += [
        [
            c.name,
            _score(c.score),
            "-" if c.effect is None else f"{c.effect:+.3f} [{c.low:+.3f}, {c.high:+.3f}]",
            f"{c.tally.wins} / {c.tally.losses} / {c.tally.ties}",
            c.denominator,
        ]
        for c in found.contrasts
    ]
    console.say(f"Each against {found.a.name}, intervals at 90 %; rows better / worse / the same.")
    console.table(["version", "dev score", "difference", "+ / - / =", "rows"], rows)
    for line in found.patch if len(found.contrasts) == 1 else ():
        console.say(line)


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


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
