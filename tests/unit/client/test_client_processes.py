"""The client where processes fork, end, and import it."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys

import pytest

from tests.unit.client.clients import batches_of, made, say, until
from tests.unit.client.scripted import scripted


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_sends_its_own_and_not_its_parents():
    with scripted() as server, made(server.url, options=batches_of(500)) as client:
        say(client, 2)  # waits in the parent while the child is made
        child = os.fork()
        if child == 0:
            try:
                say(client, 3, 100)
                client.close()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        until(lambda: len(server.events) == 3)
        assert client.stats().pending == 2
        assert client.flush(60)
        assert client.stats().sent == 2
        assert sorted(e["inputs"]["n"] for e in server.events) == [0, 1, 100, 101, 102]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_children_of_multiprocessing_send_before_they_end():
    with scripted() as server, made(server.url) as client:
        child = multiprocessing.get_context("fork").Process(target=say, args=(client, 4))
        child.start()
        child.join()
        assert child.exitcode == 0
        until(lambda: len(server.events) == 4)


def test_an_application_that_just_ends_loses_nothing(tmp_path):
    code = (
        "from upturn.client import Client, Options, record_call\n"
        "options = Options(timeout_s=60.0, exit_s=60.0)\n"
        f"c = Client(URL, spill={str(tmp_path)!r}, options=options, environment={{}})\n"
        "[record_call('p', inputs={'n': i}, client=c) for i in range(50)]\n"
    )
    with scripted() as server:
        subprocess.run(
            [sys.executable, "-c", code.replace("URL", repr(server.url))], check=True, timeout=120
        )
        assert len(server.events) == 50
    subprocess.run(
        [sys.executable, "-c", code.replace("URL", "'http://127.0.0.1:9'")], check=True, timeout=120
    )
    lines = [line for f in tmp_path.glob("*.jsonl") for line in f.read_text().splitlines()]
    assert len(lines) == 50


def test_importing_is_light():
    code = (
        "import sys, upturn; a = set(sys.modules); upturn.record; upturn.Client;"
        "print(*a, '|', *sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = out.stdout.split("|")
    assert not {m.split(".")[0] for m in first.split()} & {"orjson", "logging", "json"}
    heavy = {"dspy", "httpx", "fastapi", "pydantic", "numpy", "sqlalchemy", "http", "ssl"}
    assert {m.split(".")[0] for m in second.split()} & heavy == set()
