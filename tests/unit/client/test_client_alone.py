"""The client without a server, or at its limits: what it holds, keeps on disk, drops and counts."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace

from tests.unit.client.clients import QUICK, made, say, until
from tests.unit.client.scripted import scripted
from upturn.client import Client, feedback, record_call


def test_memory_is_bounded_without_a_disk(caplog):
    # One try and no second: the pause after it does not end by itself.
    options = replace(QUICK, queue_events=50, first_wait_s=600.0, longest_wait_s=600.0)
    with made("http://127.0.0.1:9", options=options) as client:
        say(client, 500)
        stats = client.stats()
        assert stats.pending <= 50
        assert stats.dropped["queue_full"] >= 400
    final = client.stats()
    assert sum(final.dropped.values()) == 500
    assert sum("queue_full" in r.message for r in caplog.records) == 1


def test_disk_is_bounded(tmp_path):
    options = replace(QUICK, spill_bytes=4000, batch_events=5)
    with made("http://127.0.0.1:9", tmp_path, options) as client:
        say(client, 100)
        until(lambda: client.stats().spilled + client.stats().dropped.get("disk_limit", 0) == 100)
        assert client.stats().dropped["disk_limit"] > 50
        assert sum(f.stat().st_size for f in tmp_path.iterdir()) <= 4000


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
        for f in sorted((tmp_path / "spill").glob("*.jsonl"))
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
    asked, release, released = threading.Event(), threading.Event(), threading.Event()

    def hang(path, headers, events):
        asked.set()
        release.wait(60)
        released.set()
        return None

    with scripted(hang) as server:
        client = Client(server.url, spill=tmp_path, options=QUICK, environment={})
        try:
            say(client, 5)
            assert asked.wait(60)
            say(client, 5, 5)
            client.close(0.3)
            assert not released.is_set(), "whoever waited for the server closes after it"
            lines = [line for f in tmp_path.glob("*.jsonl") for line in f.read_text().splitlines()]
            assert sorted(json.loads(line)["inputs"]["n"] for line in lines) == list(range(10))
        finally:
            release.set()


def test_after_closing_events_are_dropped():
    with scripted() as server:
        client = Client(server.url, spill=False, options=QUICK, environment={})
        client.close()
        client.close()
        say(client, 2)
        assert client.stats().dropped == {"closed": 2}


def test_a_broken_line_on_disk_is_counted_and_left_out(tmp_path):
    good = {"upturn": 1, "kind": "request", "id": "a"}
    (tmp_path / "1.jsonl").write_text(json.dumps(good) + '\n{"cut\n[1]\n')
    with scripted() as server, made(server.url, tmp_path) as client:
        until(lambda: client.stats().drained == 1)
        assert server.ids == ["a"]
        assert client.stats().dropped == {"broken_on_disk": 2}
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_url_or_token_file_is_a_warning_and_no_error(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    for url in ("ftp://x", "localhost:8787", "http://", "http://[", "http://x:99999999"):
        with made(url, tmp_path / "spill") as client:
            say(client, 1)
        assert client.stats().spilled == 1
    with made("http://127.0.0.1:9", tmp_path / "spill", token_file=tmp_path / "none") as client:
        say(client, 1)
    assert "the token file must be readable, got FileNotFoundError" in caplog.text
