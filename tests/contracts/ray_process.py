"""Runs a module that starts Ray in a process of its own, and ends what it leaves, and only that.

Ray puts its processes into sessions of their own. Each inherits the environment, so a mark there
tells ours from everybody else's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
_MARK = "UPTURN_TEST_MARK"
#: Only a process that hangs takes so long.
_LIMIT_S = 1800
#: What Ray waits for its own processes, in seconds: a crowded machine may need minutes for one.
SLOW_ENV = {
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_gcs_server_request_timeout_seconds": "600",
    "RAY_gcs_rpc_server_connect_timeout_s": "120",
}
#: How often a node is started anew: Ray gives it half a minute, and no setting makes that longer.
_STARTS = 5


def run_with_ray(module: str, folder: Path, **env: str) -> str:
    """Runs ``python -m module FOLDER``; returns its stdout.

    Raises:
        RuntimeError: it failed, with the end of what it wrote.
    """
    mark = uuid.uuid4().hex
    # Ray's sockets lie in there, and a socket's path must be short.
    temporary = tempfile.mkdtemp(prefix="upturn-ray-", dir="/tmp")
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(folder)],
        cwd=ROOT,
        env={
            **SLOW_ENV,
            **os.environ,
            _MARK: mark,
            "RAY_TMPDIR": temporary,
            # No token is written to the home of whoever runs this.
            "RAY_AUTH_TOKEN": uuid.uuid4().hex,
            **env,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=_LIMIT_S)
    finally:
        for pid in alive(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if process.returncode is None:
            process.communicate()
        shutil.rmtree(temporary, ignore_errors=True)
    if process.returncode:
        raise RuntimeError(f"{module} ended with {process.returncode}:\n{out}\n{err[-4000:]}")
    return out


def patiently(start: Callable[[], T]) -> T:
    """Starts Ray or a node of it, again where it did not come up in the half minute it is given."""
    for _ in range(_STARTS - 1):
        try:
            return start()
        except Exception as error:  # a plain one of Ray's, or ours
            print(f"Ray did not start: {error}", file=sys.stderr)
    return start()


def alive(mark: str) -> list[int]:
    """Returns the processes that inherited a mark."""
    wanted = f"{_MARK}={mark}".encode()
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found
