"""The client against every kind of server: the application never sees any of it."""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import replace

import pytest

from tests.unit.client.clients import QUICK, batches_of, made, say, until
from tests.unit.client.scripted import Last, accepts, response, says, scripted
from upturn.client import Client, feedback


def test_events_arrive_in_batches_over_one_connection_with_the_token():
    # The first batch is held in the server until every event waits: so the batches are known.
    said = threading.Event()

    def once_all_are_said(path, headers, events):
        said.wait(60)
        return accepts(path, headers, events)

    with (
        scripted(once_all_are_said) as server,
        made(server.url, token="tok-123", options=batches_of(500)) as client,
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

    with scripted(hold) as server, made(server.url) as client:
        ids = say(client, 1)
        until(lambda: client.stats().pending == 0)  # the server has it in hand, and is silent
        ids += say(client, 700, 1)
        assert client.stats().sent == 0
        held.set()
        until(lambda: client.stats().sent == 701)
        assert sorted(server.ids) == sorted(ids)


def test_requests_go_before_feedback_on_them():
    with scripted() as server, made(server.url, options=batches_of(2)) as client:
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
        lambda path, headers, events: Last(
            b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort"
        ),
        lambda path, headers, events: Last(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
    ],
    ids=["500", "503", "404", "html", "list", "text", "302", "401", "403", "close", "rubbish",
         "short", "length"],
)  # fmt: skip
def test_whatever_a_server_says_nothing_is_lost_and_nothing_is_raised(tmp_path, behave, caplog):
    taken: list[str] = []

    def takes(path, headers, events):
        taken.extend(e["id"] for e in events)
        return accepts(path, headers, events)

    with scripted(behave) as server, made(server.url, tmp_path / "spill") as client:
        ids = say(client, 3)
        until(lambda: client.stats().spilled == 3)
        server.behave = takes
        until(lambda: client.stats().drained == 3)
        assert sorted(taken) == sorted(ids)
    said = [r.message for r in caplog.records if "does not take events" in r.message]
    assert len(said) == len(set(said)) <= 3


def test_a_server_that_never_answers_is_left_and_tried_again(tmp_path):
    release = threading.Event()

    def hold(path, headers, events):
        release.wait(600)
        return None

    options = replace(QUICK, timeout_s=0.3)
    with scripted(hold) as server, made(server.url, tmp_path / "spill", options) as client:
        ids = say(client, 3)
        until(lambda: client.stats().spilled == 3)
        assert (client.stats().sent, server.ids) == (0, [])
        server.behave = accepts
        release.set()
        until(lambda: client.stats().drained == 3)
        # It may have lost its patience again, and then sent again what had arrived.
        assert set(server.ids) == set(ids)


def test_what_is_rejected_is_counted_and_not_sent_again(caplog):
    body = json.dumps(
        {
            "accepted": 1,
            "rejected": 1,
            "problems": [{"index": 1, "field": "time", "rule": "must be a time, got 'secret'"}],
            "conflicts": [],
        }
    ).encode()
    with (
        scripted(says(200, body)) as server,
        made(server.url, options=batches_of(2)) as client,
    ):
        say(client, 2)
        until(lambda: client.stats().rejected == 1)
        server.behave = says(422, b'{"accepted":0,"rejected":1,"problems":[],"conflicts":[]}')
        say(client, 1)
        assert client.flush(60)
        assert client.stats().rejected == 2
        server.behave = says(403, b'{"accepted":0,"rejected":1,"problems":[]}')
        say(client, 1)
        assert client.flush(60)
        assert client.stats().rejected == 3
        assert (client.stats().sent, client.stats().pending, len(server.posts)) == (1, 0, 3)
    assert [r.message for r in caplog.records if "rejected" in r.message] == [
        "the collector rejected events: time must be a time"
    ]


def test_a_body_that_is_too_large_is_halved():
    def behave(path, headers, events):
        return accepts(path, headers, events) if len(events) <= 3 else response(413, b"{}")

    with scripted(behave) as server, made(server.url, options=batches_of(10)) as client:
        ids = say(client, 10)
        until(lambda: client.stats().sent == 10)
        assert [len(events) for _, _, events in server.posts] == [10, 5, 2, 3, 5, 2, 3]
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


def test_scrubbing_happens_before_anything_leaves(tmp_path):
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


def test_many_threads_lose_nothing():
    with scripted() as server, made(server.url) as client:
        threads = [threading.Thread(target=say, args=(client, 200, 200 * t)) for t in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: client.stats().sent == 1600)
        assert sorted(e["inputs"]["n"] for e in server.events) == list(range(1600))


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
