"""The collector on a real socket: slow, silent and greedy senders, and the end of the process."""

from __future__ import annotations

import json
import select
import signal
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from tests.unit.collector.natives import request
from tests.unit.collector.serving import Running, serving

POST = b"POST /v1/requests HTTP/1.1\r\nhost: x\r\n"
#: Only what hangs takes so long; a machine that is slow does not.
HANGS_S = 120.0


def connection_to(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=HANGS_S)


def everything(connection: socket.socket) -> bytes:
    """Returns what comes until the other side closes."""
    parts: list[bytes] = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def head(connection: socket.socket) -> bytes:
    """Returns the head of an answer."""
    found = b""
    while b"\r\n\r\n" not in found and (part := connection.recv(4096)):
        found += part
    return found.partition(b"\r\n\r\n")[0]


@pytest.fixture(scope="module")
def strict():
    """A collector that soon loses its patience with a request that does not come."""
    with serving(header_s=0.6, body_s=0.6) as running:
        yield running


@pytest.fixture(scope="module")
def patient():
    """A collector with small limits that waits for every request, however long that takes.

    So an answer is about what was sent, and never about when.
    """
    limits = {"header_s": 600, "body_s": 600, "header_bytes": 4096, "body_bytes": 100_000}
    with serving(**limits, idle_s=1.0) as running:
        yield running


def test_a_connection_that_says_nothing_is_closed(strict):
    started = time.monotonic()
    with connection_to(strict.port) as connection:
        assert everything(connection).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started > 0.5


def test_headers_that_drip_are_cut_off(strict):
    started = time.monotonic()
    with connection_to(strict.port) as connection:
        connection.sendall(POST)
        connection.settimeout(0.05)
        answer = b""
        # They would drip on for minutes: only the other side ends it.
        while not answer and time.monotonic() - started < HANGS_S:
            with suppress(OSError):  # closed already: the answer is still to be read
                connection.sendall(b"x: y\r\n")
            with suppress(TimeoutError):
                answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_drips_is_cut_off(strict):
    started = time.monotonic()
    with connection_to(strict.port) as connection:
        connection.sendall(POST + b"content-length: 1000\r\n\r\n{")
        assert everything(connection).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started > 0.5


def test_a_body_that_never_begins_is_cut_off(strict):
    with connection_to(strict.port) as connection:
        connection.sendall(POST + b"transfer-encoding: chunked\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 408 ")


def test_headers_without_end_are_431(patient):
    with connection_to(patient.port) as connection:
        connection.sendall(POST + b"x: " + b"y" * 8000)
        assert everything(connection).startswith(b"HTTP/1.1 431 ")


def test_an_idle_connection_is_closed_without_a_word(patient):
    with connection_to(patient.port) as connection:
        body = json.dumps(request("idle")).encode()
        connection.sendall(POST + b"content-length: %d\r\n\r\n" % len(body) + body)
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_chunked_body_without_end_is_413(patient):
    with connection_to(patient.port) as connection:
        connection.sendall(POST + b"transfer-encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n" % 65536 + b"a" * 65536 + b"\r\n"
        with suppress(OSError):
            for _ in range(20):
                connection.sendall(chunk)
        assert head(connection).startswith(b"HTTP/1.1 413 ")


def test_a_stated_length_beyond_the_limit_is_413_at_once(patient):
    with connection_to(patient.port) as connection:
        connection.sendall(POST + b"content-length: 100000000\r\n\r\n")
        assert head(connection).startswith(b"HTTP/1.1 413 ")


def test_rubbish_is_400_and_hurts_nobody(patient):
    for rubbish in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"\x00" * 100):
        with connection_to(patient.port) as connection:
            connection.sendall(rubbish)
            assert everything(connection).startswith(b"HTTP/1.1 400 ")
    alive = httpx.get(f"{patient.url}/healthz", timeout=HANGS_S)
    assert alive.json() == {"status": "alive"}


def test_many_slow_senders_do_not_hold_up_a_quick_one(patient):
    with ExitStack() as stack:
        slow = [stack.enter_context(connection_to(patient.port)) for _ in range(100)]
        for connection in slow:
            connection.sendall(POST)
        answer = httpx.post(f"{patient.url}/v1/requests", json=request("quick"), timeout=HANGS_S)
        assert answer.json()["accepted"] == 1
        # All of them are still there, and have been told nothing.
        assert select.select(slow, [], [], 0)[0] == []


def asked(port: int, n: int) -> list[socket.socket]:
    """Returns connections on which one request each is on its way."""
    made = []
    for number in range(n):
        connection = connection_to(port)
        body = json.dumps(request(f"r{number}")).encode()
        connection.sendall(POST + b"content-length: %d\r\n\r\n" % len(body) + body)
        made.append(connection)
    return made


def answers(connections: list[socket.socket]) -> list[bytes]:
    """Returns the heads of the answers."""
    heads = []
    for connection in connections:
        with connection:
            heads.append(head(connection))
    return heads


def wait_for_metric(running: Running, line: str) -> None:
    """Returns when a line stands in the collector's metrics."""
    end = time.monotonic() + HANGS_S
    while line not in (text := httpx.get(f"{running.url}/metrics", timeout=HANGS_S).text):
        assert time.monotonic() < end, text
        time.sleep(0.01)


def wait_until_no_more_are_taken(port: int) -> None:
    """Returns when nobody listens on the port any more."""
    end = time.monotonic() + HANGS_S
    with suppress(OSError):
        while time.monotonic() < end:
            connection_to(port).close()
            time.sleep(0.01)
        raise AssertionError("it still listens")


def test_sigterm_answers_what_it_has_taken(tmp_path: Path):
    goes_on = tmp_path / "goes on"
    with serving(until_there=goes_on, drain_s=600) as running:
        connections = asked(running.port, 20)
        wait_for_metric(running, "queued_events 20.0")
        running.process.send_signal(signal.SIGTERM)
        wait_until_no_more_are_taken(running.port)
        goes_on.touch()
        heads = answers(connections)
        assert running.wait() == 0
    assert {h[:12] for h in heads} == {b"HTTP/1.1 200"}
    assert "stored 20" in running.err


def test_back_pressure_is_503_with_a_time_to_come_back(tmp_path: Path):
    goes_on = tmp_path / "goes on"
    with serving(until_there=goes_on, queue_events=4, group_events=1) as running:
        connections = asked(running.port, 12)
        wait_for_metric(running, 'requests_total{route="requests",status="503"} 8.0')
        goes_on.touch()
        heads = answers(connections)
    statuses = [h[9:12] for h in heads]
    assert (statuses.count(b"503"), statuses.count(b"200")) == (8, 4)
    assert all(b"retry-after: 1" in h for h in heads if h[9:12] == b"503")
