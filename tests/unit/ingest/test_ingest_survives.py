"""Killed, without room, twice at once, its database gone: an ingest loses and invents nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.unit.ingest.logs import check_sums, feedback, jsonl, put, request, take
from tests.unit.store.stores import SERVER, database, execute
from upturn.errors import StorageError
from upturn.ingest import IngestReport, Progress
from upturn.store import FeedbackStore
from upturn.store.transactions import WAITS_S

#: What a child process runs: the command's own code, on a clock that lies ahead of all events.
CHILD = """
import json, resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from upturn.errors import UpturnError
from upturn.ingest import Options, batches, ingest
from upturn.store import FeedbackStore

url, rejects, limit, last, *paths = sys.argv[1:]
batches.EVENTS = 1000
told = []

def tell(progress):
    told.append(progress)
    print(progress.records, flush=True)
    if len(told) == int(last):
        signal.pause()  # to be killed

if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
options = Options(clock=lambda: datetime(2026, 9, 10, tzinfo=UTC))
try:
    with FeedbackStore.open(url) as store:
        print("open", flush=True)
        report = ingest(paths, store, scrub=lambda e: e, rejects=Path(rejects),
                        progress=tell, options=options)
    print(json.dumps(report.to_json()))
except UpturnError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def child(
    url: str, rejects: Path, *paths: Path, limit: int = 0, last: int = 0
) -> subprocess.Popen[str]:
    """An ingest in small batches, with files of ``limit`` bytes at most; stops after ``last``."""
    told = [url, str(rejects), str(limit), str(last)]
    command = [sys.executable, "-c", CHILD, *told, *map(str, paths)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def rows(n: int) -> bytes:
    lines = [line for i in range(n) for line in (request(i), feedback(i))]
    return jsonl([*lines, {"upturn": 1, "kind": "x"}, request(0, user="another")])


def totals(report: IngestReport) -> tuple[int, int, int, int, int]:
    return report.requests, report.feedback, report.duplicates, report.conflicts, report.rejected


def test_a_killed_ingest_goes_on_where_it_stopped(tmp_path: Path):
    path, url = put(tmp_path / "a.jsonl", rows(5000)), str(tmp_path / "s.db")
    for batches in (1, 2, 1):
        # It is killed in the batch after these, or when it stops behind that: never at the end.
        with child(url, tmp_path / "rejects", path, last=batches + 1) as process:
            assert process.stdout is not None
            for _ in range(1 + batches):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    report = take(url, path, rejects=tmp_path / "rejects")
    assert 4000 <= report.resumed_from <= 7000
    assert report.records == 10_002
    check_sums(report, events=10_001)
    assert totals(report) == (5000, 5000, 0, 1, 1)
    with FeedbackStore.open(url) as store:
        counts = store.counts()
    assert (counts.requests, counts.feedback, counts.orphans) == (5000, 5000, 0)


def test_a_disk_that_fills_up_is_said_and_the_ingest_goes_on_later(tmp_path: Path):
    path, url = put(tmp_path / "a.jsonl", rows(5000)), str(tmp_path / "s.db")
    with child(url, tmp_path / "rejects", path, limit=3_000_000) as process:
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 2, out
    assert "free disk space" in out
    assert "Traceback" not in out
    report = take(url, path, rejects=tmp_path / "rejects")
    assert report.resumed_from > 0
    check_sums(report, events=10_001)
    assert totals(report) == (5000, 5000, 0, 1, 1)


def test_a_file_of_rejects_without_room_is_said(tmp_path: Path):
    path = put(tmp_path / "a.jsonl", jsonl([request(1), *[{"upturn": 1, "kind": "x"}] * 9000]))
    with FeedbackStore.open(str(tmp_path / "s.db")):
        pass  # made before the limit is set
    with child(str(tmp_path / "s.db"), tmp_path / "rejects", path, limit=500_000) as process:
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 2, out
    assert "the file of rejects must be writable, got: File too large" in out
    report = take(tmp_path / "s.db", path, rejects=tmp_path / "rejects")
    assert (report.requests + report.duplicates, report.rejected) == (1, 9000)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_two_ingests_at_once_store_each_event_once(tmp_path: Path, kind: str):
    path = put(tmp_path / "a.jsonl", rows(8000))
    reports: list[IngestReport] = []
    with database(kind, tmp_path) as url:
        with FeedbackStore.open(url):
            pass

        # Each has its first batch in before the other goes on: they do run side by side.
        together = threading.Barrier(2, timeout=300)

        def run() -> None:
            told = iter([together.wait])

            def tell(_: Progress) -> None:
                next(told, lambda: 0)()

            reports.append(take(url, path, rejects=tmp_path / "rejects", progress=tell))

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with FeedbackStore.open(url) as store:
            counts = store.counts()
    assert (counts.requests, counts.feedback) == (8000, 8000)
    assert len(reports) == 2
    for report in reports:
        check_sums(report, events=16_001)
        assert (report.conflicts, report.rejected) == (1, 1)
    assert sum(r.requests + r.feedback for r in reports) == 16_000
    assert len({r.rejects for r in reports}) == 2, "each has its own file of rejects"


def test_one_file_of_rejects_is_not_shared_by_two_ingests(tmp_path: Path):
    path = put(tmp_path / "a.jsonl", rows(10))
    inside: list[str] = []

    def told(_: Progress) -> None:
        with pytest.raises(StorageError) as caught:
            take(tmp_path / "other.db", path, rejects=tmp_path / "r.jsonl")
        inside.append(str(caught.value))

    take(tmp_path / "s.db", path, rejects=tmp_path / "r.jsonl", progress=told)
    assert "another ingest writes to it" in inside[0]
    assert "name another one with --rejects" in inside[0]


@pytest.mark.postgres
def test_connections_that_are_cut_during_an_ingest_cost_nothing(tmp_path: Path):
    path = put(tmp_path / "a.jsonl", rows(12_000))
    cuts: list[int] = []
    with database("postgres", tmp_path) as url:
        name = url.partition("application_name=")[2].partition("&")[0]
        # From a connection of another name: the two who cut must not cut each other.
        cut = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE application_name = '{name}'"
        )

        def told(_: Progress) -> None:
            cuts.append(len(execute(SERVER, cut)))

        done = threading.Event()

        def now_and_then() -> None:
            # As often as one transaction is tried again: even if each cut hits the same one, and
            # however slow the machine, the last try is left alone.
            for _ in WAITS_S:
                execute(SERVER, cut)
                if done.wait(0.7):
                    return

        saboteur = threading.Thread(target=now_and_then)
        saboteur.start()
        try:
            report = take(url, path, rejects=tmp_path / "rejects", progress=told)
        finally:
            done.set()
            saboteur.join()
        with FeedbackStore.open(url) as store:
            counts = store.counts()
    assert sum(cuts) > 0
    assert (counts.requests, counts.feedback) == (12_000, 12_000)
    check_sums(report, events=24_001)
    assert (report.conflicts, report.rejected) == (1, 1)
