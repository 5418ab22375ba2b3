"""Servers that are dead, refuse the key, do not know the model, or answer garbage."""

from __future__ import annotations

import asyncio
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dspy.lm15 import Config, Message, Request

from upturn.errors import ModelError
from upturn.lm import AnswerCache, Meter, ModelSpec, classify
from upturn.lm.connect import Connection, connect
from upturn.records import FailureKind

KEY = "sk-very-secret-0123456789"
COMPLETION = {
    "choices": [{"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8},
}


@contextmanager
def serving(answer: Callable[[int], tuple[int, bytes]]) -> Iterator[tuple[str, list[str]]]:
    """Serves answer(number of the request); yields the address and the keys that were sent."""
    keys: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            keys.append(self.headers.get("Authorization", ""))
            status, body = answer(len(keys))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keeps the test's output clean."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", keys
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def connected(base: str, tmp_path: Path, **settings: object) -> Iterator[Connection]:
    spec = ModelSpec(model="openai/foo", api_base=base, **settings)  # type: ignore[arg-type]
    with (
        AnswerCache(tmp_path / "a.db") as cache,
        connect(spec, cache=cache, meter=Meter()) as connection,
    ):
        yield connection


def failing_probe(base: str, tmp_path: Path, **settings: object) -> ModelError:
    with connected(base, tmp_path, **settings) as connection:
        with pytest.raises(ModelError) as caught:
            connection.probe()
        return caught.value


def test_a_good_server_is_asked_with_a_dummy_key_on_loopback(tmp_path: Path) -> None:
    body = json.dumps(COMPLETION).encode()
    with serving(lambda _: (200, body)) as (base, keys), connected(base, tmp_path) as connection:
        connection.probe()
        assert connection.lm("hello") == ["ok"]
        assert connection.lm("hello") == ["ok"]
    assert len(keys) == 2
    assert set(keys) == {"Bearer no-key-needed"}


def test_async_calls_reach_the_server_too(tmp_path: Path) -> None:
    body = json.dumps(COMPLETION).encode()

    async def ask(connection: Connection) -> list[str]:
        try:
            return await connection.lm.acall("hello")
        finally:
            await connection.aclose()

    with serving(lambda _: (200, body)) as (base, keys), connected(base, tmp_path) as connection:
        assert asyncio.run(ask(connection)) == ["ok"]
    assert len(keys) == 1


def test_a_transient_error_is_retried_once_per_spec(tmp_path: Path) -> None:
    def answer(n: int) -> tuple[int, bytes]:
        return (500, b"busy") if n == 1 else (200, json.dumps(COMPLETION).encode())

    with serving(answer) as (base, keys), connected(base, tmp_path, num_retries=1) as connection:
        assert connection.lm("hello") == ["ok"]
    assert len(keys) == 2


def test_wrong_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()
    with serving(lambda _: (401, body)) as (base, keys):
        error = failing_probe(base, tmp_path, api_key_env="SOME_KEY")
        with connected(base, tmp_path, api_key_env="SOME_KEY") as connection:
            with pytest.raises(Exception, match="Incorrect API key") as caught:
                connection.lm("hello")
            assert classify(caught.value) is FailureKind.OUTAGE
            assert KEY not in str(caught.value)
    assert f"Bearer {KEY}" in keys
    assert "the key must be accepted" in str(error)
    assert "set SOME_KEY to a valid key" in str(error)
    assert KEY not in str(error)
    assert error.exit_code == 2


def test_missing_key(tmp_path: Path) -> None:
    with (
        pytest.raises(ModelError, match="UPTURN_TEST_NO_KEY must hold the key"),
        connected("http://127.0.0.1:9/v1", tmp_path, api_key_env="UPTURN_TEST_NO_KEY"),
    ):
        pass


def test_unknown_model(tmp_path: Path) -> None:
    body = json.dumps({"error": {"message": "model foo not found", "code": "model_not_found"}})
    with serving(lambda _: (404, body.encode())) as (base, _):
        error = failing_probe(base, tmp_path)
    assert "the model must be known" in str(error)
    assert error.where == "model.model=openai/foo"


def test_dead_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    base = f"http://127.0.0.1:{port}/v1"
    error = failing_probe(base, tmp_path)
    assert "the server must be reachable" in str(error)
    assert base in error.where
    assert "start the server" in error.fix


@pytest.mark.parametrize(
    "body", [b"<html>welcome</html>", b'{"ok": true}', b'{"choices": []}', b"[]", b""]
)
def test_garbage(tmp_path: Path, body: bytes) -> None:
    with serving(lambda _: (200, body)) as (base, _):
        error = failing_probe(base, tmp_path)
        with connected(base, tmp_path, num_retries=0) as connection:
            request = Request(
                model=connection.model_id, messages=(Message.user("x"),), config=Config()
            )
            with pytest.raises(Exception, match=r"no completion|not JSON") as caught:
                connection.lm(request)
            assert classify(caught.value) is FailureKind.OUTAGE
    assert "the server must answer with a completion" in str(error)
    assert "often ending in /v1" in error.fix
