"""``upturn ui``: the MLflow UI on loopback, with links to the pages worth opening."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, WorkspacePath

#: Loopback only: the MLflow UI asks nobody for a password.
HOST = "127.0.0.1"
#: How long MLflow may take to end by itself, in seconds.
GRACE_S = 3.0


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
    from upturn.pipeline.parts import Parts
    from upturn.pipeline.store import existing
    from upturn.pipeline.workspace import read_json
    from upturn.tracking.database import DATABASE

    folder = Parts.load(Path(config)).workspace.folder if config else workspace
    place = existing(folder)
    base = f"http://{HOST}:{port}"
    database = place.folder / DATABASE
    for turn in place.turns()[-3:]:
        result = read_json(place.turn(turn) / "result.json")
        console.say(f"{result['program']}  turn {turn}  {result['verdict']}")
        for label, url in result["links"].items():
            console.say(f"  {label:<22} {_at(url, base) if database.exists() else url}")
    if links_only:
        return 0
    _check_startable(database, port)
    console.say(f"MLflow on {base}, Ctrl-C ends it")
    return _serve(database, port)


def _check_startable(database: Path, port: int) -> None:
    from upturn.errors import InputError

    if not database.exists():
        raise InputError(
            "the runs are not in this workspace, so its server shows them",
            where=str(database),
            fix="open the links above, or: upturn ui --links",
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            what = f"the port must be free: {error.strerror}"
            fix = f"upturn ui --port {port + 1}"
            raise InputError(what, where=f"{HOST}:{port}", fix=fix) from None


def _serve(database: Path, port: int) -> int:
    """Runs MLflow until it ends or we are told to end, and leaves none of its processes behind."""
    from upturn.tracking.database import sqlite_uri

    command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port)]
    command += ["--backend-store-uri", sqlite_uri(database)]
    # MLflow starts four workers where it is not told; this one serves one person.
    command += ["--workers", "1"]
    # The job runner costs two gigabytes and serves nothing that Upturn uses.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    before = signal.signal(signal.SIGTERM, _terminated)
    # MLflow starts a server process of its own and does not always end it: a group ends together.
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end_group(server)
        signal.signal(signal.SIGTERM, before)


def _terminated(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _end_group(server: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(GRACE_S)


def _at(url: str, base: str) -> str:
    return base + url[url.index("/#") :] if "/#" in url else url
