"""Commands as processes of their own: what they print, and how they end when they are told to."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.surface.conftest import Finished, migrate, serving, write_project

UPTURN = [sys.executable, "-c", "from upturn.cli import main; main()"]
STEP = re.compile(r"\[ *\d+\.\ds\] [a-z]+( .*)?")
#: Only what hangs takes so long; a machine that is slow does not.
HANGS_S = 300
TINY = ("search.n_trials=2", "search.evaluations=200", "search.finalists=1")


@contextmanager
def started(*arguments: object, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A running command that is always ended, with pipes instead of a terminal."""
    process = subprocess.Popen(
        [*UPTURN, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that runs in the background has it ignored; a person at a terminal has not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        # Not kill: a command that has started others must get to end them.
        process.terminate()
        process.communicate(timeout=HANGS_S)


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Returns what a command says on stderr up to some words, and leaves the rest in the pipe."""
    assert process.stderr is not None
    said = b""
    while words.encode() not in said:
        more = os.read(process.stderr.fileno(), 4096)
        assert more, said
        said += more
    return said.decode()


def test_a_turn_that_is_interrupted_goes_on_and_prints_steps_only(
    tmp_path: Path, mlflow_cache: Path
):
    migrate(mlflow_cache, tmp_path / "mlruns")
    with serving() as server:
        config = write_project(tmp_path, server.base, n=210)
        with started("run", config, *TINY, "--json", cwd=tmp_path) as process:
            server.wait_for(3)
            server.hold()
            process.send_signal(signal.SIGINT)
            said = read_until(process, "Ctrl-C again")
            with pytest.raises(subprocess.TimeoutExpired):  # calls in flight are waited for
                process.wait(0.5)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=HANGS_S)
        assert (process.returncode, out) == (130, "")
        assert "Traceback" not in said + err
        server.answers.set()
        with started("run", config, *TINY, "--json", cwd=tmp_path) as process:
            out, err = process.communicate(timeout=HANGS_S)
    assert process.returncode == 0, err
    answer = json.loads(out)
    assert out.count("\n") == 1
    assert answer["repeated"] is False
    assert answer["calls"] > 0
    assert answer["n"] > 0
    lines = err.splitlines()
    assert [line for line in lines if not STEP.fullmatch(line)] == []
    steps = [line.split("] ")[1].split()[0] for line in lines]
    assert steps[:2] == ["snapshot", "resume"]
    assert "gate" in steps


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def group_of(parent: int) -> list[int]:
    """Ids of the processes whose command line names the parent's MLflow, by /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rsplit(") ", 1)[1].split()
        except OSError:
            continue
        if stat[0] != "Z" and int(stat[2]) == parent:
            found.append(int(folder.name))
    return found


def children(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(p) for p in path.read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads processes from /proc")
def test_the_ui_listens_on_loopback_and_leaves_no_process_behind(finished: Finished):
    port = free_port()
    with started("ui", "--port", port, cwd=finished.root) as process:
        _wait_until_up(process, port)
        (server,) = children(process.pid)
        members = group_of(server)
        assert len(members) > 1, "MLflow runs its server as a process of its own"
        assert _listening(port) == {"0100007F"}
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=HANGS_S)
        assert process.returncode == 0
    assert f"MLflow on http://127.0.0.1:{port}" in out
    # Whoever was killed may take a moment to be gone.
    _wait(lambda: group_of(server) == [])


def _wait(true: Callable[[], bool]) -> None:
    end = time.monotonic() + HANGS_S
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


def _wait_until_up(process: subprocess.Popen[str], port: int) -> None:
    url = f"http://127.0.0.1:{port}/health"

    def is_up() -> bool:
        assert process.poll() is None, process.communicate()
        try:
            with urllib.request.urlopen(url, timeout=HANGS_S) as reply:
                return reply.read() == b"OK"
        except OSError:
            return False

    _wait(is_up)


def _listening(port: int) -> set[str]:
    """Local addresses, in the kernel's hexadecimal, on which a port listens."""
    found = set()
    for name in ("tcp", "tcp6"):
        table = Path(f"/proc/{os.getpid()}/net/{name}")
        for line in table.read_text().splitlines()[1:] if table.exists() else []:
            address, number = line.split()[1].split(":")
            if int(number, 16) == port and line.split()[3] == "0A":
                found.add(address)
    return found


def test_the_ui_refuses_a_port_that_is_taken(finished: Finished, upturn):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = upturn("ui", "--port", port)
    assert ran.code == 2
    assert f"upturn ui --port {port + 1}" in ran.err


def test_a_reader_that_has_seen_enough_is_no_error(finished: Finished):
    reading, writing = os.pipe()
    os.close(reading)  # before the first word: a short answer fits into the pipe
    command = [*UPTURN, "validate", "--schema"]
    done = subprocess.run(
        command, cwd=finished.root, stdout=writing, stderr=subprocess.PIPE, timeout=HANGS_S
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
