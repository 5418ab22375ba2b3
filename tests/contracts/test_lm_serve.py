"""The same model behind ``transformers serve`` and in this process gives the same texts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contracts.test_lm_local import prompt
from upturn import mini
from upturn.lm import AnswerCache, Meter, ModelSpec
from upturn.lm.connect import Connection, connect

pytestmark = pytest.mark.local

N_ROWS = 100
#: Only what hangs takes so long: the server imports torch, and loads the model when it is asked.
PATIENCE_S = 600.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = Path(sys.executable).with_name("transformers")
    if not command.exists():
        pytest.skip("transformers[serving] is not installed")
    log = (tmp_path_factory.mktemp("serve") / "log").open("w+")
    process = subprocess.Popen(
        [command, "serve", str(mini.weights_dir()), "--device", "cpu", "--dtype", "float32",
         "--host", "127.0.0.1", "--port", str(port)],
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"},
    )  # fmt: skip
    try:
        _wait(f"http://127.0.0.1:{port}/health", process, log.name)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        log.close()


def _wait(url: str, process: subprocess.Popen[bytes], log: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"transformers serve did not start:\n{Path(log).read_text()[-2000:]}")


def answers(connection: Connection) -> list[str]:
    from dataclasses import replace

    def ask(i: int) -> str:
        request = replace(prompt(i, n_demos=2), model=connection.model_id)
        return connection.lm(request).message.text or ""

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(ask, range(N_ROWS)))


def test_100_rows_are_answered_alike_over_http_and_in_process(server: str, tmp_path: Path) -> None:
    meter = Meter()
    remote = ModelSpec(
        model=f"openai/{mini.weights_dir()}",
        api_base=server,
        max_tokens=40,
        timeout_s=PATIENCE_S,
    )
    with (
        AnswerCache(tmp_path / "a.db") as cache,
        connect(remote, cache=cache, meter=meter) as over_http,
        connect(ModelSpec(model="upturn-mini"), cache=cache, meter=meter) as in_process,
    ):
        over_http.probe()
        assert answers(over_http) == answers(in_process)
    assert (meter.totals().calls, meter.totals().cached_calls) == (2 * N_ROWS, 0)
