"""The collector on a real socket: slow, silent and greedy senders, and the end of the process."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from tests.unit.collector.natives import request
from tests.unit.collector.serving import serving

POST = b"POST /v1/requests HTTP/1.1\r\nhost: x\r\n"


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def everything(connection: socket.socket) -> bytes:
    """Returns what comes until the other side closes."""
    parts: list[bytes] = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.fixture(scope="module")
def strict():
    """A collector that loses its patience soon."""
    limits = {"header_s": 0.4, "body_s": 0.6, "idle_s": 1.0, "header_bytes": 4096}
    with serving(**limits, body_bytes=100_000) as running:
        yield running


def test_a_connection_that_says_nothing_is_closed(strict):
    started = time.monotonic()
    with connected(strict.port) as connection:
        assert everything(connection).startswith(b"HTTP/1.1 408 ")
    assert 0.3 < time.monotonic() - started < 3


def test_headers_that_drip_are_cut_off(strict):
    started = time.monotonic()
    with connected(strict.port) as connection:
        connection.sendall(POST)
        connection.settimeout(0.05)
        answer = b""
        while not answer and time.monotonic() - started < 5:
            connection.sendall(b"x: y\r\n")
            with suppress(TimeoutError):
                answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started < 3


def test_a_body_that_drips_is_cut_off(strict):
    started = time.monotonic()
    with connected(strict.port) as connection:
        connection.sendall(POST + b"content-length: 1000\r\n\r\n{")
        assert everything(connection).startswith(b"HTTP/1.1 408 ")
    assert 0.5 < time.monotonic() - started < 3


def test_a_body_that_never_begins_is_cut_off(strict):
    with connected(strict.port) as connection:
        connection.sendall(POST + b"transfer-encoding: chunked\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 408 ")


def test_headers_without_end_are_431(strict):
    with connected(strict.port) as connection:
        connection.sendall(POST + b"x: " + b"y" * 8000)
        assert everything(connection).startswith(b"HTTP/1.1 431 ")


def test_an_idle_connection_is_closed_without_a_word(strict):
    with connected(strict.port) as connection:
        body = json.dumps(request("idle")).encode()
        connection.sendall(POST + b"content-length: %d\r\n\r\n" % len(body) + body)
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_chunked_body_without_end_is_413(strict):
    with connected(strict.port) as connection:
        connection.sendall(POST + b"transfer-encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n" % 65536 + b"a" * 65536 + b"\r\n"
        try:
            for _ in range(20):
                connection.sendall(chunk)
        except OSError:
            pass
        assert b"HTTP/1.1 413 " in everything(connection)


def test_a_stated_length_beyond_the_limit_is_413_at_once(strict):
    with connected(strict.port) as connection:
        connection.sendall(POST + b"content-length: 100000000\r\n\r\n")
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_rubbish_is_400_and_hurts_nobody(strict):
    for rubbish in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"\x00" * 100):
        with connected(strict.port) as connection:
            connection.sendall(rubbish)
            assert everything(connection).startswith(b"HTTP/1.1 400 ")
    assert httpx.get(f"{strict.url}/healthz").json() == {"status": "alive"}


def test_many_slow_senders_do_not_hold_up_a_quick_one(strict):
    with contextmany(strict.port, 100) as slow:
        for connection in slow:
            connection.sendall(POST)
        started = time.monotonic()
        answer = httpx.post(f"{strict.url}/v1/requests", json=request("quick"))
        assert answer.json()["accepted"] == 1
        assert time.monotonic() - started < 2


@contextmanager
def contextmany(port: int, n: int) -> Iterator[list[socket.socket]]:
    made = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(n)]
    try:
        yield made
    finally:
        for connection in made:
            connection.close()


def asked(port: int, n: int) -> list[socket.socket]:
    """Returns connections on which one request each is on its way."""
    made = []
    for number in range(n):
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        body = json.dumps(request(f"r{number}")).encode()
        connection.sendall(POST + b"content-length: %d\r\n\r\n" % len(body) + body)
        made.append(connection)
    return made


def answers(connections: list[socket.socket]) -> list[bytes]:
    """Returns the heads of the answers."""
    heads = []
    for connection in connections:
        with connection:
            heads.append(connection.recv(4096).partition(b"\r\n\r\n")[0])
    return heads


def test_sigterm_answers_what_it_has_taken():
    with serving(delay_s=1.5) as running:
        connections = asked(running.port, 20)
        while "queued_events 20.0" not in httpx.get(f"{running.url}/metrics").text:
            time.sleep(0.01)
        running.process.send_signal(signal.SIGTERM)
        heads = answers(connections)
        assert running.wait() == 0
    assert {h[:12] for h in heads} == {b"HTTP/1.1 200"}
    assert "stored 20" in running.err


def test_back_pressure_is_503_with_a_time_to_come_back():
    with serving(delay_s=1.0, queue_events=4, group_events=1) as running:
        heads = answers(asked(running.port, 12))
    statuses = [h[9:12] for h in heads]
    assert statuses.count(b"503") >= 4
    assert statuses.count(b"200") >= 4
    assert all(b"retry-after: 1" in h for h in heads if h[9:12] == b"503")
