"""Servers that are dead, refuse the key, do not know the model, answer garbage, or come and go."""

from __future__ import annotations

import asyncio
import contextvars
import http.server
import itertools
import json
import random
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from dspy.lm15 import Config, Message, Request, Response
from dspy.utils.exceptions import LMError

from tests.unit.lm.virtual import JumpClock
from upturn.errors import ModelError, OutageError
from upturn.lm import AnswerCache, Meter, ModelSpec, classify, ours
from upturn.lm.connect import Connection, connect, connect_engine
from upturn.lm.engine import Engine
from upturn.lm.remote import RemoteEngine
from upturn.lm.retries import is_timeout
from upturn.lm.steady import SteadyEngine
from upturn.records import FailureKind

KEY = "sk-very-secret-0123456789"
COMPLETION = {
    "choices": [{"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8},
}


GOOD = (200, json.dumps(COMPLETION).encode())


@contextmanager
def serving(
    answer: Callable[[int], tuple[int, bytes]], headers: dict[str, str] | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Serves answer(number of the request); yields the address and the keys that were sent."""
    keys: list[str] = []
    counting = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with counting:
                keys.append(self.headers.get("Authorization", ""))
                number = len(keys)
            status, body = answer(number)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keeps the test's output clean."""

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that has given up is no error of the server's."""

    server = Server(("127.0.0.1", 0), Handler)
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


def test_a_server_that_asks_for_fewer_calls_is_there(tmp_path: Path) -> None:
    told: list[str] = []
    spec = ModelSpec(model="openai/foo", concurrency=2)

    def answer(n: int) -> tuple[int, bytes]:
        return (429, b'{"error": {"message": "slow down"}}') if n <= 2 else GOOD

    with serving(answer) as (base, keys), AnswerCache(tmp_path / "a.db") as cache:
        spec = replace(spec, api_base=base)
        with connect(spec, cache=cache, meter=Meter(), tell=told.append) as connection:
            connection.probe()
            assert connection.lm("hello") == ["ok"]
    assert (len(keys), told) == (3, ["the server refuses calls: 1 at a time from now"])


def test_wrong_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()
    with serving(lambda _: (401, body)) as (base, keys):
        error = failing_probe(base, tmp_path, api_key_env="SOME_KEY")
        with connected(base, tmp_path, api_key_env="SOME_KEY") as connection:
            with pytest.raises(Exception, match="Incorrect API key") as caught:
                connection.lm("hello")
            # In mid-run, too: no other row can succeed, so the turn ends and says why.
            assert classify(caught.value) is None
            ended = ours(caught.value)
            assert isinstance(ended, ModelError)
            assert (ended.what, ended.fix) == (error.what, error.fix)
            assert KEY not in str(caught.value)
    assert f"Bearer {KEY}" in keys
    assert "the key must be accepted" in str(error)
    assert "set SOME_KEY to a valid key" in str(error)
    assert KEY not in str(error)
    assert error.exit_code == 2


@pytest.mark.parametrize("status", [402, 429])
def test_an_account_without_credit_ends_the_turn(tmp_path: Path, status: int) -> None:
    body = b'{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'
    with serving(lambda _: (status, body)) as (base, keys), connected(base, tmp_path) as connection:
        with pytest.raises(Exception, match="exceeded your quota") as caught:
            connection.lm("hello")
        ended = ours(caught.value)
    assert isinstance(ended, ModelError)
    assert "must have credit" in ended.what
    assert len(keys) == 1, "waiting mends no account"


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
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there
        base = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
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
        patience = {"num_retries": 0, "max_outage_minutes": 0.0}
        with connected(base, tmp_path, **patience) as connection:
            request = Request(
                model=connection.model_id, messages=(Message.user("x"),), config=Config()
            )
            with pytest.raises(Exception, match=r"no completion|not JSON") as caught:
                connection.lm(request)
            assert classify(caught.value) is FailureKind.OUTAGE
    assert "the server must answer with a completion" in str(error)
    assert "often ending in /v1" in error.fix


@contextmanager
def patient(
    base: str,
    tmp_path: Path,
    told: list[str] | None = None,
    inner: Callable[[ModelSpec], Engine] = RemoteEngine,
    **settings: object,
) -> Iterator[tuple[Connection, Meter, JumpClock]]:
    """As ``connect`` makes it, over real HTTP, on a clock that jumps."""
    # On a clock that jumps for all threads at once, a call's own time means nothing.
    spec = ModelSpec(model="openai/foo", api_base=base, deadline_s=1e12, **settings)  # type: ignore[arg-type]
    clock, meter = JumpClock(), Meter()
    engine = SteadyEngine(
        inner(spec), spec, clock=clock, tell=(told if told is not None else []).append
    )
    with (
        AnswerCache(tmp_path / "a.db") as cache,
        connect_engine(engine, model_id="foo@1", cache=cache, meter=meter, spec=spec) as connection,
    ):
        yield connection, meter, clock


def rows(connection: Connection, n: int, threads: int) -> list[str | FailureKind | None]:
    def row(i: int) -> str | FailureKind | None:
        try:
            return connection.lm(f"row {i}")[0]
        except Exception as error:
            return classify(error)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda i: contextvars.copy_context().run(row, i), range(n)))


def test_a_storm_of_refusals_loses_no_row(tmp_path: Path) -> None:
    def answer(n: int) -> tuple[int, bytes]:
        return (429, b'{"error": {"message": "slow down"}}') if n % 3 else GOOD

    with (
        serving(answer, {"Retry-After": "7"}) as (base, keys),
        patient(base, tmp_path, concurrency=8) as (connection, meter, clock),
    ):
        assert rows(connection, 60, 8) == ["ok"] * 60
        assert (meter.totals().calls, meter.totals().failed_calls) == (60, 0)
        assert clock.now() > 7.0, "the header was heard"
    assert len(keys) == 180


def test_three_failures_in_ten_lose_no_row(tmp_path: Path) -> None:
    rng = random.Random(3)
    bad = [(500, b"oops"), (200, b"<html>busy</html>"), (200, b'{"choices": []}'), (503, b"")]
    script = [rng.choice(bad) if rng.random() < 0.3 else GOOD for _ in range(2000)]
    with (
        serving(lambda n: script[n - 1]) as (base, keys),
        patient(base, tmp_path, concurrency=8, num_retries=10) as (connection, meter, _),
    ):
        assert rows(connection, 200, 8) == ["ok"] * 200
        assert meter.totals().calls == 200
    assert 250 < len(keys) < 330


class HangsAtFirst:
    """Attempts over HTTP of which the first few reach a server that takes them and never answers.

    Only those have a short time-out: a good server may be as slow as the machine is.
    """

    def __init__(self, spec: ModelSpec, silent: str, few: int) -> None:
        self._hangs = RemoteEngine(replace(spec, api_base=silent, timeout_s=0.1))
        self._works, self._few = RemoteEngine(spec), few
        self._attempts = itertools.count(1)
        self.hung: list[Exception] = []

    def complete(self, request: Request) -> Response:
        if next(self._attempts) > self._few:
            return self._works.complete(request)
        with pytest.raises(LMError) as caught:
            self._hangs.complete(request)
        self.hung.append(caught.value)
        raise caught.value

    async def acomplete(self, request: Request) -> Response:
        raise NotImplementedError

    def close(self) -> None:
        self._hangs.close()
        self._works.close()


def test_a_server_that_hangs_is_asked_again(tmp_path: Path) -> None:
    made: list[HangsAtFirst] = []
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        serving(lambda n: GOOD) as (base, keys),
    ):
        silent = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"

        def inner(spec: ModelSpec) -> HangsAtFirst:
            made.append(HangsAtFirst(spec, silent, few=4))
            return made[0]

        with patient(base, tmp_path, inner=inner, concurrency=4) as (connection, meter, _):
            assert rows(connection, 12, 4) == ["ok"] * 12
            assert (meter.totals().calls, meter.totals().failed_calls) == (12, 0)
    assert [is_timeout(error) for error in made[0].hung] == [True] * 4
    assert len(keys) == 12


def test_a_server_that_goes_away_and_comes_back_loses_no_row(tmp_path: Path) -> None:
    told: list[str] = []

    def answer(n: int) -> tuple[int, bytes]:
        return (502, b"bad gateway") if 30 < n <= 70 else GOOD

    with (
        serving(answer) as (base, keys),
        patient(base, tmp_path, told, concurrency=4, max_outage_minutes=1e6) as (connection, *_),
    ):
        assert rows(connection, 80, 4) == ["ok"] * 80
    assert "the turn waits for it" in told[0]
    assert "the turn goes on" in told[-1]
    assert len(keys) >= 80 + 40


def test_a_server_that_stays_away_ends_the_turn(tmp_path: Path) -> None:
    def answer(n: int) -> tuple[int, bytes]:
        return (502, b"bad gateway") if n > 10 else GOOD

    with (
        serving(answer) as (base, _),
        patient(base, tmp_path, concurrency=4) as (connection, meter, clock),
    ):
        found = rows(connection, 40, 4)
        with pytest.raises(Exception, match=r"must be back within 30\.0 minutes") as caught:
            connection.lm("one more")
        assert isinstance(ours(caught.value), OutageError)
        assert found.count("ok") == meter.totals().calls == 10
        assert found.count(None) == 30, "each is the turn's end, none is a row"
        assert clock.now() >= 1800.0
