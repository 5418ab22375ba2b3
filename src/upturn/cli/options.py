"""Options that several commands share: one spelling, one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigPath = Annotated[Path, typer.Argument(help="The config, e.g. configs/ticket_triage.yaml.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Overrides, e.g. search.n_trials=20 promotion=ask.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON object on stdout.")]
Program = Annotated[str, typer.Argument(help="The program's name, as in its config.")]
OptionalProgram = Annotated[
    str | None, typer.Option("--program", help="Only this program; all of them by default.")
]
WorkspacePath = Annotated[
    Path, typer.Option("--workspace", help="The folder with the database and the ledger.")
]
Tracking = Annotated[
    str,
    typer.Option("--tracking-uri", help="The MLflow server, where the config sets tracking.uri."),
]
Because = Annotated[str, typer.Option("--because", help="Why, for the ledger.")]

DEFAULT_WORKSPACE = Path("mlruns")
