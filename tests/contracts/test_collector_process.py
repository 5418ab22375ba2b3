"""``upturn collect`` as a process: tokens, exposure, kill -9, and what it leaves in the store."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.unit.collector.natives import feedback, request
from tests.unit.collector.serving import Running, process
from tests.unit.store.stores import KINDS, SERVER, database, execute
from upturn.store import FeedbackStore

UPTURN = [sys.executable, "-c", "from upturn.cli import main; main()"]


def collecting(folder: Path, *more: str):
    """A collector over a SQLite store in a folder."""
    command = [*UPTURN, "collect", "--store", "store.db", "--port", "0", *more]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
    return process(command, cwd=folder, env=environment)


def finished(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*UPTURN, "collect", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def post(running: Running, path: str, value, token: str | None = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.post(f"{running.url}{path}", json=value, headers=headers, timeout=120)


def test_a_token_is_made_used_and_never_shown(tmp_path):
    with collecting(tmp_path, "--token-file", "keys/token") as running:
        path = tmp_path / "keys" / "token"
        secret = path.read_text().strip()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert post(running, "/v1/requests", request("a")).status_code == 401
        assert post(running, "/v1/requests", request("a"), secret[:-1]).status_code == 401
        assert post(running, "/v1/requests", request("a"), secret).json()["accepted"] == 1
        assert post(running, "/v1/feedback", feedback("f", "a"), secret).json()["accepted"] == 1
        running.process.send_signal(signal.SIGTERM)
        assert running.wait() == 0
    assert "a token was made: keys/token" in running.err
    assert "the store holds 1 requests, 1 feedback" in running.err
    assert secret not in running.err
    assert "parcel" not in running.err
    with FeedbackStore.open(str(tmp_path / "store.db")) as store:
        found = store.request("a")
        assert found is not None
        assert found.inputs == {"message": "where is my parcel"}
        assert [f.id for f in store.feedback_on("a")] == ["f"]


def test_personal_items_are_taken_out_before_they_are_stored(tmp_path):
    sent = request(
        "a", inputs={"message": "write to jane.doe@example.org"}, user="jane@example.org"
    )
    with collecting(tmp_path, "--no-token") as running:
        assert post(running, "/v1/requests", sent).json()["accepted"] == 1
        running.process.send_signal(signal.SIGTERM)
        assert running.wait() == 0
    for file in tmp_path.glob("store.db*"):
        assert b"jane" not in file.read_bytes()


def test_an_open_collector_stays_on_loopback(tmp_path):
    refused = finished(
        tmp_path, "--store", "s.db", "--host", "0.0.0.0", "--no-token", "--port", "0"
    )
    assert refused.returncode == 2
    assert "--no-token must stay on loopback, got --host 0.0.0.0" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "s.db").exists()


def test_other_machines_are_warned_about(tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    token.chmod(0o644)
    with collecting(tmp_path, "--host", "0.0.0.0", "--token-file", "token") as running:
        assert "WARNING: listening on 0.0.0.0: other machines can reach" in running.err
        assert "next: chmod 600 token" in running.err
        assert post(running, "/v1/requests", request("a"), "0123456789abcdef").status_code == 200


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--store", "mysql://x/y", "--no-token"), "mysql"),
        (("--store", "short/s.db", "--no-token", "--port", "0"), "short"),
        (("--store", "s.db", "--token-file", "short"), "a token must be 16 or more"),
        (("--store", "s.db", "--no-token", "--port", "99999"), "the address must be free"),
        (("--store", "s.db", "--no-token", "--host", "192.0.2.1.9"), "192.0.2.1.9"),
    ],
)
def test_what_cannot_work_says_so_before_it_starts(tmp_path, arguments, words):
    (tmp_path / "short").write_text("short\n")
    done = finished(tmp_path, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_taken_port_is_named(tmp_path):
    with collecting(tmp_path, "--no-token") as running:
        done = finished(tmp_path, "--store", "t.db", "--no-token", "--port", str(running.port))
    assert done.returncode == 2
    assert f"127.0.0.1:{running.port}: the address must be free" in done.stderr


class Sender(threading.Thread):
    """Posts numbered requests one after the other and keeps the ids that were acknowledged."""

    def __init__(self, name: str, url: str) -> None:
        super().__init__(name=name)
        self.url = url
        self.acknowledged: list[str] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        n = 0
        while not self.stopped.is_set():
            n += 1
            events = [request(f"{self.name}-{n}-{i}") for i in range(5)]
            try:
                with httpx.Client() as client:
                    answer = client.post(f"{self.url}/v1/requests", json=events, timeout=120)
            except httpx.HTTPError:
                return
            if answer.status_code == 200:
                self.acknowledged += [e["id"] for e in events]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_acknowledged_survives_kill_9(tmp_path, kind):
    with database(kind, tmp_path) as url:
        acknowledged, stored = _through_kills(tmp_path, url)
    assert len(acknowledged) > 50
    assert set(acknowledged) - stored == set()


def _wait_for_acknowledged(senders: list[Sender], events: int) -> None:
    """Returns when the senders together have that many events acknowledged."""
    end = time.monotonic() + 120
    while (found := sum(len(s.acknowledged) for s in senders)) < events:
        assert time.monotonic() < end, f"{found} of {events} events were acknowledged"
        time.sleep(0.001)


def _through_kills(tmp_path: Path, url: str) -> tuple[list[str], set[str]]:
    rng = random.Random(7)
    acknowledged: list[str] = []
    for round_number in range(3):
        with collecting(tmp_path, "--store", url, "--no-token") as running:
            senders = [Sender(f"{round_number}-{n}", running.url) for n in range(4)]
            for sender in senders:
                sender.start()
            # While it is busy with the next ones.
            _wait_for_acknowledged(senders, rng.randrange(20, 100))
            running.process.send_signal(signal.SIGKILL)
            running.wait()
            for sender in senders:
                sender.stopped.set()
                sender.join()
                acknowledged += sender.acknowledged
    with FeedbackStore.open(url) as store:
        return acknowledged, {r.id for r in store.requests()}


@pytest.mark.postgres
def test_a_database_that_loses_its_connections_costs_no_event(tmp_path):
    with database("postgres", tmp_path) as url:
        schema = url.partition("application_name=")[2].partition("&")[0]
        with collecting(tmp_path, "--store", url, "--no-token") as running:
            senders = [Sender(f"s{n}", running.url) for n in range(4)]
            for sender in senders:
                sender.start()
            for cut in range(5):
                # It has come back from the last cut before the next one comes.
                _wait_for_acknowledged(senders, 20 * (cut + 1))
                execute(
                    SERVER,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    f"WHERE application_name = '{schema}'",
                )
            _wait_for_acknowledged(senders, 20 * 6)
            for sender in senders:
                sender.stopped.set()
                sender.join()
            running.process.send_signal(signal.SIGTERM)
            assert running.wait() == 0
        acknowledged = {i for s in senders for i in s.acknowledged}
        with FeedbackStore.open(url) as store:
            stored = {r.id for r in store.requests()}
    assert len(acknowledged) > 20
    assert acknowledged - stored == set()
