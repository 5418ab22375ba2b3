"""``upturn judge``: how well a judge agrees with people, and what sways it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import AsJson
from upturn.cli.turn import STRICT_EXIT

if TYPE_CHECKING:
    from upturn.judges import Calibration
    from upturn.judges.agreement import Weights


def judge(
    labels: Annotated[
        Path, typer.Argument(help="The judge's verdicts and people's, one JSON object a line.")
    ],
    scores: Annotated[
        Path | None,
        typer.Option("--scores", help="Rows of id and score, where labels lacks the judge's."),
    ] = None,
    min_kappa: Annotated[
        float, typer.Option("--min-kappa", help="What the interval's lower end must reach.")
    ] = 0.6,
    min_rows: Annotated[
        int, typer.Option("--min-rows", min=1, help="Rows with a human verdict, at least.")
    ] = 50,
    weights: Annotated[
        str, typer.Option("--weights", help="Of graded disagreement: none, linear, quadratic.")
    ] = "none",
    as_json: AsJson = False,
) -> int:
    """Hold a judge against people; exits 0 where it is calibrated, 3 where not."""
    from upturn.judges import Standard, calibrate, read_judged

    standard = Standard(min_kappa=min_kappa, min_rows=min_rows, weights=_weights(weights))
    found = calibrate(read_judged(labels, scores), standard)
    if as_json:
        console.answer(found.to_json())
    else:
        _show(found)
    return 0 if found.calibrated else STRICT_EXIT


def _weights(name: str) -> Weights:
    if name == "none" or name == "linear" or name == "quadratic":
        return name
    raise typer.BadParameter(f"weights must be none, linear or quadratic, got {name!r}")


def _show(found: Calibration) -> None:
    agreed = found.agreement
    console.say("CALIBRATED" if found.calibrated else "NOT CALIBRATED")
    console.say(f"- {found.why}")
    console.say(
        f"- They agree on {agreed.observed:.1%}; by chance it would be {agreed.expected:.1%}. "
        f"Interval: {agreed.interval}."
    )
    for bias in found.biases:
        console.say(f"- {'WARNING: ' if bias.found else ''}{bias.note}")
