"""The client against every kind of server: the application never sees any of it."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.unit.client.scripted import accepts, response, says, scripted
from upturn.client import Client, Options, feedback, record_call

QUICK = Options(linger_s=0.01, spill_linger_s=0.02, first_wait_s=0.05, longest_wait_s=0.1,
                timeout_s=1.0, exit_s=1.0)  # fmt: skip


@contextmanager
def made(url, spill=False, options=QUICK, **more):
    client = Client(url, spill=spill, options=options, environment={}, **more)
    try:
        yield client
    finally:
        client.close()


def say(client: Client, n: int, start: int = 0) -> list[str]:
    return [
        record_call("triage", inputs={"n": i}, outputs={"y": 1}, client=client)
        for i in range(start, start + n)
    ]


def until(true, timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "never came true"
        time.sleep(0.005)


def test_events_arrive_in_batches_over_one_connection_with_the_token():
    # The first batch is held in the server until every event waits: so the batches are known.
    said = threading.Event()

    def once_all_are_said(path, headers, events):
        said.wait(60)
        return accepts(path, headers, events)

    patient = replace(QUICK, linger_s=600.0, timeout_s=60.0)
    with (
        scripted(once_all_are_said) as server,
        made(server.url, token="tok-123", options=patient) as client,
    ):
        ids = say(client, 1200)
        said.set()
        until(lambda: client.stats().sent == 1200)
        assert sorted(server.ids) == sorted(ids)
        assert {p for p, _, _ in server.posts} == {"/v1/requests"}
        assert {h["authorization"] for _, h, _ in server.posts} == {"Bearer tok-123"}
        assert [len(events) for _, _, events in server.posts] == [500, 500, 200]
        assert server.connections == 1
        stats = client.stats()
        assert (stats.recorded, stats.rejected, stats.dropped, stats.pending) == (1200, 0, {}, 0)


def test_recording_does_not_wait_for_the_server():
    held = threading.Event()

    def hold(path, headers, events):
        held.wait(60)
        return accepts(path, headers, events)

    with scripted(hold) as server, made(server.url, options=replace(QUICK, timeout_s=60.0)) as client:
        ids = say(client, 1)
        until(lambda: client.stats().pending == 0)  # the server has it in hand, and is silent
        ids += say(client, 700, 1)
        assert client.stats().sent == 0
        held.set()
        until(lambda: client.stats().sent == 701)
        assert sorted(server.ids) == sorted(ids)


def test_requests_go_before_feedback_on_them():
    with scripted() as server, made(server.url) as client:
        feedback("r1", thumbs=True, client=client)
        say(client, 1)
        until(lambda: client.stats().sent == 2)
        assert [p for p, _, _ in server.posts] == ["/v1/requests", "/v1/feedback"]


def test_a_server_that_is_away_costs_nothing_and_gets_everything_later(tmp_path):
    with scripted() as server:
        with made("http://127.0.0.1:9", tmp_path / "spill") as client:
            ids = say(client, 700)
            until(lambda: client.stats().spilled == 700)
            stats = client.stats()
            assert stats.sent == 0
            assert stats.on_disk > 0
            assert stats.retries >= 1
        assert server.ids == []
        with made(server.url, tmp_path / "spill") as client:
            until(lambda: client.stats().drained == 700)
        assert sorted(server.ids) == sorted(ids)
        assert list((tmp_path / "spill").iterdir()) == []


@pytest.mark.parametrize(
    "behave",
    [
        says(500),
        says(503, b"{}", "Retry-After: 0"),
        says(404, b"<html>"),
        says(200, b"<html>a login page</html>"),
        says(200, b"[]"),
        says(200, b'{"accepted":"all"}'),
        says(302, b"", "Location: http://127.0.0.1:9/"),
        says(401, b'{"error":"a token must be sent"}'),
        says(403, b'{"error":"the token must be allowed"}'),
        lambda path, headers, events: None,
        lambda path, headers, events: b"rubbish\r\n\r\n",
        lambda path, headers, events: b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort",
        lambda path, headers, events: b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ],
    ids=["500", "503", "404", "html", "list", "text", "302", "401", "403", "close", "rubbish",
         "short", "length"],
)  # fmt: skip
def test_whatever_a_server_says_nothing_is_lost_and_nothing_is_raised(tmp_path, behave, caplog):
    with scripted(behave) as server, made(server.url, tmp_path / "spill") as client:
        ids = say(client, 3)
        until(lambda: client.stats().spilled == 3)
        server.behave = accepts
        server.posts.clear()
        until(lambda: client.stats().drained == 3)
        assert sorted(server.ids) == sorted(ids)
    assert sum("does not take events" in r.message for r in caplog.records) <= 3


def test_what_is_rejected_is_counted_and_not_sent_again(caplog):
    body = json.dumps(
        {
            "accepted": 1,
            "rejected": 1,
            "problems": [{"index": 1, "field": "time", "rule": "must be a time, got 'secret'"}],
            "conflicts": [],
        }
    ).encode()
    with scripted(says(200, body)) as server, made(server.url) as client:
        say(client, 2)
        until(lambda: client.stats().rejected == 1)
        server.behave = says(422, b'{"accepted":0,"rejected":1,"problems":[],"conflicts":[]}')
        say(client, 1)
        until(lambda: client.stats().rejected == 2)
        server.behave = says(403, b'{"accepted":0,"rejected":1,"problems":[]}')
        say(client, 1)
        until(lambda: client.stats().rejected == 3)
        assert (client.stats().sent, client.stats().pending, len(server.posts)) == (1, 0, 3)
    assert [r.message for r in caplog.records if "rejected" in r.message] == [
        "the collector rejected events: time must be a time"
    ]


def test_a_body_that_is_too_large_is_halved():
    def behave(path, headers, events):
        return accepts(path, headers, events) if len(events) <= 3 else response(413, b"{}")

    with scripted(behave) as server, made(server.url) as client:
        ids = say(client, 10)
        until(lambda: client.stats().sent == 10)
        taken = [e["id"] for _, _, events in server.posts if len(events) <= 3 for e in events]
        assert sorted(taken) == sorted(ids)


def test_retry_after_is_kept():
    times: list[float] = []

    def behave(path, headers, events):
        times.append(time.monotonic())
        return (
            response(429, b"{}", "Retry-After: 1")
            if len(times) == 1
            else accepts(path, headers, events)
        )

    with scripted(behave) as server, made(server.url) as client:
        say(client, 1)
        until(lambda: client.stats().sent == 1)
        assert len(server.posts) == 2
    assert times[1] - times[0] >= 1.0


def test_a_connection_that_the_server_closed_is_no_failure():
    with scripted() as server, made(server.url) as client:
        server.behave = lambda p, h, e: accepts(p, h, e).replace(b" X\r\n", b" X\r\nX-Y: z\r\n", 1)
        say(client, 1)
        until(lambda: client.stats().sent == 1)

        first = threading.Event()

        def once(path, headers, events):
            if not first.is_set():
                first.set()
                return None  # as if an idle connection had been closed meanwhile
            return accepts(path, headers, events)

        server.behave = once
        say(client, 1)
        until(lambda: client.stats().sent == 2)
        assert client.stats().retries == 0
        assert server.connections == 2


def test_memory_is_bounded_without_a_disk(caplog):
    options = Options(queue_events=50, linger_s=0.01, first_wait_s=5.0, exit_s=0.2)
    with made("http://127.0.0.1:9", options=options) as client:
        say(client, 500)
        stats = client.stats()
        assert stats.pending <= 50
        assert stats.dropped["queue_full"] >= 400
    final = client.stats()
    assert sum(final.dropped.values()) == 500
    assert sum("queue_full" in r.message for r in caplog.records) == 1


def test_disk_is_bounded(tmp_path):
    options = Options(**{**_as_dict(QUICK), "spill_bytes": 4000, "batch_events": 5})
    with made("http://127.0.0.1:9", tmp_path, options) as client:
        say(client, 100)
        until(lambda: client.stats().spilled + client.stats().dropped.get("disk_limit", 0) == 100)
        assert client.stats().dropped["disk_limit"] > 50
        assert sum(f.stat().st_size for f in tmp_path.iterdir()) <= 4000


def _as_dict(options: Options) -> dict[str, float]:
    return {name: getattr(options, name) for name in options.__dataclass_fields__}


def test_a_disk_that_fails_is_counted(tmp_path):
    (tmp_path / "file").write_text("")
    with made("http://127.0.0.1:9", tmp_path / "file" / "spill") as client:
        say(client, 3)
        until(lambda: client.stats().dropped.get("disk_failed") == 3)
        assert client.stats().errors >= 1


def test_an_event_that_is_too_large_is_dropped():
    with scripted() as server, made(server.url) as client:
        record_call("triage", inputs={"text": "x" * 600_000}, client=client)
        assert client.stats().dropped == {"too_large": 1}


def test_without_a_collector_events_stay_on_disk_as_a_native_log(tmp_path, caplog):
    with made(None, tmp_path / "spill") as client:
        ids = say(client, 3)
        feedback(ids[0], thumbs=True, client=client)
    lines = [
        json.loads(line)
        for f in (tmp_path / "spill").glob("*.jsonl")
        for line in f.read_text().splitlines()
    ]
    assert [(e["upturn"], e["kind"]) for e in lines] == [(1, "request")] * 3 + [(1, "feedback")]
    assert [e["id"] for e in lines[:3]] == ids
    assert any("UPTURN_COLLECTOR_URL is not set" in r.message for r in caplog.records)


def test_without_collector_and_disk_events_are_dropped_with_one_warning(caplog):
    with made(None) as client:
        assert len(say(client, 5)) == 5
        assert client.stats().dropped == {"no_destination": 5}
    assert sum("no_destination" in r.message for r in caplog.records) == 1


def test_closing_is_bounded_where_the_server_hangs(tmp_path):
    release = threading.Event()

    def hang(path, headers, events):
        release.wait(20)
        return None

    options = Options(**{**_as_dict(QUICK), "timeout_s": 20.0})
    with scripted(hang) as server:
        client = Client(server.url, spill=tmp_path, options=options, environment={})
        say(client, 5)
        time.sleep(0.1)
        say(client, 5, 5)
        started = time.monotonic()
        client.close(0.3)
        assert time.monotonic() - started < 1.0
        lines = [line for f in tmp_path.glob("*.jsonl") for line in f.read_text().splitlines()]
        assert sorted(json.loads(line)["inputs"]["n"] for line in lines) == list(range(10))
        release.set()


def test_after_closing_events_are_dropped():
    with scripted() as server:
        client = Client(server.url, spill=False, options=QUICK, environment={})
        client.close()
        client.close()
        say(client, 2)
        assert client.stats().dropped == {"closed": 2}


def test_scrubbing_happens_before_anything_leaves(tmp_path):
    from dataclasses import replace

    def scrub(event):
        if event.inputs["n"] == 1:
            raise RuntimeError("cannot")
        return replace(event, inputs={"n": "<N>"})

    with scripted() as server, made(server.url, scrub=scrub) as client:
        say(client, 3)
        until(lambda: client.stats().sent == 2)
        assert [e["inputs"] for e in server.events] == [{"n": "<N>"}] * 2
        assert client.stats().dropped == {"not_scrubbed": 1}
    with made(None, tmp_path, scrub=lambda e: replace(e, user="<U>")) as client:
        say(client, 1)
    (file,) = tmp_path.glob("*.jsonl")
    assert json.loads(file.read_text())["user"] == "<U>"


def test_a_broken_line_on_disk_is_counted_and_left_out(tmp_path):
    good = {"upturn": 1, "kind": "request", "id": "a"}
    (tmp_path / "1.jsonl").write_text(json.dumps(good) + '\n{"cut\n[1]\n')
    with scripted() as server, made(server.url, tmp_path) as client:
        until(lambda: client.stats().drained == 1)
        assert server.ids == ["a"]
        assert client.stats().dropped == {"broken_on_disk": 2}
    assert list(tmp_path.iterdir()) == []


def test_many_threads_lose_nothing():
    with scripted() as server, made(server.url) as client:
        threads = [threading.Thread(target=say, args=(client, 200, 200 * t)) for t in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: client.stats().sent == 1600)
        assert sorted(e["inputs"]["n"] for e in server.events) == list(range(1600))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_sends_its_own_and_not_its_parents():
    options = Options(**{**_as_dict(QUICK), "linger_s": 0.4})
    with scripted() as server, made(server.url, options=options) as client:
        say(client, 2)  # waits in the parent while the child is made
        child = os.fork()
        if child == 0:
            try:
                say(client, 3, 100)
                client.close()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        until(lambda: len(server.events) == 5)
        until(lambda: client.stats().sent == 2)
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
        "from upturn.client import Client, record_call\n"
        f"c = Client(URL, spill={str(tmp_path)!r}, environment={{}})\n"
        "[record_call('p', inputs={'n': i}, client=c) for i in range(50)]\n"
    )
    with scripted() as server:
        subprocess.run(
            [sys.executable, "-c", code.replace("URL", repr(server.url))], check=True, timeout=30
        )
        assert len(server.events) == 50
    subprocess.run(
        [sys.executable, "-c", code.replace("URL", "'http://127.0.0.1:9'")], check=True, timeout=30
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


def test_a_wrong_url_or_token_file_is_a_warning_and_no_error(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    for url in ("ftp://x", "localhost:8787", "http://", "http://[", "http://x:99999999"):
        with made(url, tmp_path / "spill") as client:
            say(client, 1)
        assert client.stats().spilled == 1
    with made("http://127.0.0.1:9", tmp_path / "spill", token_file=tmp_path / "none") as client:
        say(client, 1)
    assert "the token file must be readable, got FileNotFoundError" in caplog.text


def test_the_environment_configures(tmp_path):
    token = tmp_path / "token"
    token.write_text("# ours\nsecret-from-file\n")
    with scripted() as server:
        environment = {
            "UPTURN_COLLECTOR_URL": f"{server.url}/",
            "UPTURN_TOKEN_FILE": str(token),
            "UPTURN_SPILL": str(tmp_path / "spill"),
        }
        client = Client(options=QUICK, environment=environment, rng=random.Random(1))
        say(client, 1)
        until(lambda: client.stats().sent == 1)
        client.close()
        path, headers, _ = server.posts[0]
    assert (path, headers["authorization"]) == ("/v1/requests", "Bearer secret-from-file")
