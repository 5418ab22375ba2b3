"""``upturn ui``: the MLflow UI on loopback, with links to the pages worth opening."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, WorkspacePath


def ui(
    config: Annotated[
        str | None, typer.Argument(help="A config, to take the workspace from it.")
    ] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1.")] = 5000,
    links_only: Annotated[
        bool, typer.Option("--links", help="Print the links and do not start the UI.")
    ] = False,
) -> int:
    """Start the MLflow UI on 127.0.0.1 and print links to runs, comparison and versions."""
    from pathlib import Path

    from upturn.pipeline.parts import Parts
    from upturn.pipeline.store import existing
    from upturn.pipeline.workspace import read_json
    from upturn.tracking.database import sqlite_uri

    folder = Parts.load(Path(config)).workspace.folder if config else workspace
    place = existing(folder)
    base = f"http://127.0.0.1:{port}"
    for turn in place.turns()[-3:]:
        result = read_json(place.turn(turn) / "result.json")
        console.say(f"{result['program']}  turn {turn}  {result['verdict']}")
        for label, url in result["links"].items():
            console.say(f"  {label:<12} {_at(url, base)}")
    if links_only:
        return 0
    database = place.folder / "mlflow.db"
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", sqlite_uri(database)]
    # The job runner costs two gigabytes and serves nothing that Upturn uses.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    console.say(f"MLflow on {base}, Ctrl-C ends it")
    return subprocess.run(command, env=environment, check=False).returncode


def _at(url: str, base: str) -> str:
    return base + url[url.index("/#") :] if "/#" in url else url
