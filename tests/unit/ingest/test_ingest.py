"""Sources into a store: every event once, every record accounted for."""

from __future__ import annotations

import gzip
import json
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.unit.ingest.logs import (
    NOW,
    check_sums,
    feedback,
    jsonl,
    listed,
    put,
    request,
    same,
    take,
)
from upturn.errors import ConfigError, DataError
from upturn.events import Event
from upturn.importers import Rejection
from upturn.importers.native import checked
from upturn.ingest import Limits, Options, Progress, Record, preview
from upturn.ingest.batches import EVENTS, Reading
from upturn.privacy import Pseudonyms, Scrubber, ScrubRules
from upturn.store import FeedbackStore


@pytest.fixture
def store(tmp_path: Path):
    with FeedbackStore.open(str(tmp_path / "store.db")) as opened:
        yield opened


@pytest.fixture
def rejects(tmp_path: Path) -> Path:
    return tmp_path / "rejects"


def test_every_event_is_counted_once(store: FeedbackStore, tmp_path: Path, rejects: Path):
    rows = [
        request(1),
        feedback(1),
        feedback(1),  # again, word for word
        request(1, user="somebody else"),  # another event of the same name
        feedback(9),  # its request never came
        request(2, latency_ms=-1),
        {**request(3), "time": "2026-09-11T00:00:01Z"},  # more than a day ahead
        request(4, time="2026-09-01T10:00:00"),  # no zone
    ]
    path = put(tmp_path / "log.jsonl", jsonl(rows) + b'{"upturn":1,\n')
    report = take(store, path, rejects=rejects)
    answer = report.to_json()
    assert list(answer)[:5] == ["requests", "feedback", "duplicates", "conflicts", "rejected"]
    assert list(answer.values())[:5] == [1, 2, 1, 1, 4]
    assert report.records == 9
    check_sums(report, events=5)
    assert [(r["line"], r["record"], r["field"]) for r in listed(report)] == [
        (6, 6, "latency_ms"),
        (7, 7, "time"),
        (8, 8, "time"),
        (9, 9, ""),
        (4, 4, "id"),
    ]
    assert [r["reason"][:38] for r in listed(report)] == [
        "must be a number >= 0 or null, got -1",
        "must not lie in the future, got '2026-",
        "must carry a zone, such as +00:00, got",
        "must be one whole JSON object, got: un",
        "must name one event, but 'req-1' is in",
    ]
    assert {r["file"] for r in listed(report)} == {str(path)}
    assert store.counts().orphans == 1
    stored = store.request("req-1")
    assert stored is not None
    assert stored.user == "c-1", "the first one stands"


def test_the_same_file_again_is_duplicates_only(
    store: FeedbackStore, tmp_path: Path, rejects: Path
):
    path = put(tmp_path / "a.jsonl.gz", gzip.compress(jsonl([request(1), feedback(1)])))
    assert take(store, path, rejects=rejects).to_json()["sources"][0]["format"] == "native"
    report = take(store, path, rejects=rejects)
    assert (report.requests, report.feedback, report.duplicates) == (0, 0, 2)
    assert report.resumed_from == 0
    assert report.rejects == ()
    assert not rejects.exists(), "no rejects, no file and no folder"


def test_a_folder_reports_each_of_its_files(store: FeedbackStore, tmp_path: Path, rejects: Path):
    folder = tmp_path / "export"
    folder.mkdir()
    put(folder / "1.jsonl", jsonl([request(1), request(2)]))
    put(folder / "2.jsonl", jsonl([feedback(1), {"upturn": 1, "kind": "x"}]))
    put(folder / "3.jsonl", b"")
    report = take(store, folder, rejects=rejects)
    assert [Path(s.source).name for s in report.sources] == ["1.jsonl", "2.jsonl", "3.jsonl"]
    assert [s.counts["requests"] for s in report.sources] == [2, 0, 0]
    assert [s.rejects is not None for s in report.sources] == [False, True, False]
    check_sums(report, events=3)


def test_one_file_of_rejects_for_all_sources(store: FeedbackStore, tmp_path: Path):
    bad = {"upturn": 1, "kind": "x"}
    one = put(tmp_path / "1.jsonl", jsonl([bad]))
    two = put(tmp_path / "2.jsonl", jsonl([bad, bad]))
    for _ in range(2):  # a second run writes it anew
        report = take(store, one, two, rejects=tmp_path / "all.jsonl")
        assert report.rejects == (str(tmp_path / "all.jsonl"),)
        assert [Path(r["file"]).name for r in listed(report)] == ["1.jsonl", "2.jsonl", "2.jsonl"]


def test_what_is_stored_is_scrubbed_and_so_are_the_reasons(tmp_path: Path, rejects: Path):
    scrubber = Scrubber(ScrubRules(), Pseudonyms(b"k" * 32))
    rows = [
        request(1, inputs={"message": "write to ana@example.com"}),
        request(2, latency_ms="ana@example.com"),
        request(1, inputs={"message": "ana@example.com, please"}),
    ]
    path = put(tmp_path / "a.jsonl", jsonl(rows))
    options = Options(scrub_text=scrubber.text, clock=lambda: NOW)
    with FeedbackStore.open(str(tmp_path / "s.db")) as store:
        report = take(store, path, rejects=rejects, scrub=scrubber.event, options=options)
        assert (report.requests, report.conflicts, report.rejected) == (1, 1, 1)
    kept = [p for p in tmp_path.rglob("*") if p.is_file() and p != path]
    assert len(kept) >= 2
    for file in kept:
        assert b"ana@example.com" not in file.read_bytes(), file
    assert "<EMAIL:" in listed(report)[0]["reason"]
    assert stat.S_IMODE(Path(report.rejects[0]).stat().st_mode) == 0o600


def test_values_that_look_like_paths_sql_or_templates_are_only_values(
    store: FeedbackStore, tmp_path: Path, rejects: Path
):
    ids = [
        "../../../etc/passwd",
        "'; DROP TABLE request; --",
        "{{7*7}}",
        "%s%n",
        "a\x00b",
        "x" * 9000,
    ]
    rows = [request(id=i, inputs={"message": i}, user=i, program="{0.__class__}") for i in ids]
    rows += [feedback(id=f"f{n}", request_id=i, comment=i) for n, i in enumerate(ids)]
    path = put(tmp_path / "..%2f{x}';--.jsonl", jsonl([*rows, {"upturn": 1, "kind": ids[0]}]))
    report = take(store, path, rejects=rejects)
    assert (report.requests, report.feedback, report.rejected) == (6, 6, 1)
    for text in ids[:4]:
        stored = store.request(text)
        assert stored is not None
        assert (stored.inputs, stored.user) == ({"message": text}, text)
    assert [p.name[:8] for p in rejects.iterdir()] == ["2f_x_--."]


def test_an_event_that_the_store_refuses_takes_no_other_with_it(
    store: FeedbackStore, tmp_path: Path, rejects: Path
):
    rows = [request(1), request(2, program="p" * 501), feedback(1)]
    report = take(store, put(tmp_path / "a.jsonl", jsonl(rows)), rejects=rejects)
    assert (report.requests, report.feedback, report.rejected) == (1, 1, 1)
    assert "program must have at most 500 characters" in listed(report)[0]["reason"]
    check_sums(report, events=2)


def test_a_format_is_recognised_named_or_asked_for(
    store: FeedbackStore, tmp_path: Path, rejects: Path
):
    path = put(tmp_path / "a.jsonl", jsonl([{"foo": 1, "bar": 2}]))
    with pytest.raises(DataError) as caught:
        take(store, path, rejects=rejects)
    assert "fits none of: braintrust, humanloop, langfuse" in str(caught.value)
    assert "the records have the keys bar, foo" in str(caught.value)
    assert "map:FILE.yaml" in caught.value.fix
    assert not list(rejects.glob("*"))
    named = take(store, path, rejects=rejects, importer="native")
    assert (named.rejected, named.sources[0].format) == (1, "native")
    with pytest.raises(DataError, match="did you mean native"):
        take(store, path, rejects=rejects, importer="nativ")
    with pytest.raises(ConfigError, match="a mapping file must be readable"):
        take(store, path, rejects=rejects, importer="map:none.yaml")


def test_the_format_is_that_of_the_first_good_records(
    store: FeedbackStore, tmp_path: Path, rejects: Path
):
    path = put(tmp_path / "a.jsonl", b"[1]\n" * 30 + jsonl([request(1)]))
    report = take(store, path, rejects=rejects)
    assert (report.requests, report.rejected) == (1, 30)
    only_bad = put(tmp_path / "b.jsonl", b"{\n" * 30)
    report = take(store, only_bad, rejects=rejects)
    assert (report.records, report.rejected, report.sources[0].format) == (30, 30, "")


def test_what_is_no_data_at_all_is_refused_as_a_whole(
    store: FeedbackStore, tmp_path: Path, rejects: Path
):
    path = put(tmp_path / "notes.jsonl", b"Dear diary\n" * 1000)
    with pytest.raises(DataError, match="none of its first 500 records is one"):
        take(store, path, rejects=rejects)


class BrokenOffError(Exception):
    """Breaks an ingest off."""


def stopping_after(batches: int):
    seen: list[Progress] = []

    def told(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == batches:
            raise BrokenOffError

    return told


ROWS = [line for n in range(9000) for line in (request(n), feedback(n))]
assert EVENTS < len(ROWS) < 2 * EVENTS


def test_a_broken_off_ingest_goes_on_and_counts_the_whole(
    store: FeedbackStore, tmp_path: Path, rejects: Path
):
    rows = [*ROWS[:6000], {"upturn": 1, "kind": "x"}, request(1, user="x"), *ROWS[6000:]]
    path = put(tmp_path / "a.jsonl", jsonl(rows) + b"[1]\n")
    with pytest.raises(BrokenOffError):
        take(store, path, rejects=rejects, progress=stopping_after(1))
    assert store.counts().requests + store.counts().feedback == EVENTS - 1  # one conflicts
    told: list[Progress] = []
    report = take(store, path, rejects=rejects, progress=told.append)
    # Within the first batch: two records that are no new events.
    assert report.resumed_from == EVENTS + 1
    assert (report.requests, report.feedback, report.duplicates) == (9000, 9000, 0)
    assert (report.conflicts, report.rejected, report.records) == (1, 2, 18_003)
    check_sums(report, events=18_001)
    assert [r["line"] for r in listed(report)] == [6001, 6002, 18_003]
    assert told[-1].done
    assert told[-1].records == 18_003 - (EVENTS + 1)
    assert told[-1].consumed == told[-1].size == path.stat().st_size
    again = take(store, path, rejects=rejects)
    assert (again.duplicates, again.resumed_from) == (18_000, 0)


def test_sources_that_were_finished_are_not_read_again(
    store: FeedbackStore, tmp_path: Path, rejects: Path
):
    one = put(tmp_path / "1.jsonl", jsonl([*ROWS[:100], {"upturn": 1, "kind": "x"}]))
    two = put(tmp_path / "2.jsonl", jsonl(ROWS[100:]))
    for target in (rejects, tmp_path / "all.jsonl"):
        with FeedbackStore.open(str(tmp_path / f"{target.stem}.db")) as fresh:
            with pytest.raises(BrokenOffError):
                take(fresh, one, two, rejects=target, progress=stopping_after(3))
            report = take(fresh, one, two, rejects=target)
            assert [s.resumed_from for s in report.sources] == [101, EVENTS]
            assert (report.requests, report.feedback, report.rejected) == (9000, 9000, 1)
            check_sums(report, events=18_000)


def test_restart_begins_anew(store: FeedbackStore, tmp_path: Path, rejects: Path):
    path = put(tmp_path / "a.jsonl", jsonl(ROWS[:12_000]))
    with pytest.raises(BrokenOffError):
        take(store, path, rejects=rejects, progress=stopping_after(1))
    options = Options(resume=False, clock=lambda: NOW)
    report = take(store, path, rejects=rejects, options=options)
    assert (report.resumed_from, report.duplicates, report.requests) == (0, EVENTS, 1000)


def test_a_file_that_changed_is_another_source(store: FeedbackStore, tmp_path: Path, rejects: Path):
    path = put(tmp_path / "a.jsonl", jsonl(ROWS[:12_000]))
    with pytest.raises(BrokenOffError):
        take(store, path, rejects=rejects, progress=stopping_after(1))
    put(path, jsonl([request(n, user="new") for n in range(20_000, 20_010)]))
    report = take(store, path, rejects=rejects)
    assert (report.resumed_from, report.requests) == (0, 10)


def test_what_was_forgotten_does_not_come_back(store: FeedbackStore, tmp_path: Path, rejects: Path):
    path = put(tmp_path / "a.jsonl", jsonl(ROWS[:20]))
    take(store, path, rejects=rejects)
    store.forget(request_ids=["req-3"])
    report = take(store, path, rejects=rejects)
    assert (report.forgotten, report.duplicates) == (2, 18)
    check_sums(report, events=20)
    assert store.request("req-3") is None


def test_a_bomb_stops_the_ingest_and_what_came_before_is_stored(
    store: FeedbackStore, tmp_path: Path, rejects: Path
):
    data = gzip.compress(jsonl(ROWS) + b" " * 50_000_000)
    options = Options(limits=Limits(output_bytes=20_000_000), clock=lambda: NOW)
    with pytest.raises(DataError, match="must not unfold to more"):
        take(store, put(tmp_path / "a.jsonl.gz", data), rejects=rejects, options=options)
    counts = store.counts()
    assert counts.requests + counts.feedback == len(ROWS)


class Clumsy:
    """An importer with a defect: it expects a key that a record need not have."""

    name: ClassVar[str] = "clumsy"
    title: ClassVar[str] = "Clumsy"

    def recognises(self, record: Mapping[str, Any]) -> bool:
        return True

    def events(self, record: Mapping[str, Any]) -> Iterator[Event | Rejection]:
        yield checked(request(record["n"]))
        raise KeyError(record["secret"])


def test_a_defect_of_an_importer_rejects_the_part_only():
    reading = Reading(
        importer=Clumsy(), scrub=same, scrub_text=lambda text: text, clock=lambda: NOW
    )
    records = [Record(n, n, {"n": n, "secret": "s3cret"}, "", 10) for n in (1, 2)]
    (batch,) = reading.batches([*records, Record(3, 3, {}, "", 2)], lambda: 22)
    assert [e.id for e in batch.events] == ["req-1", "req-2"]
    assert [(r.record, r.reason) for r in batch.refusals] == [
        (n, "must be readable, but Clumsy raised KeyError, a defect of Upturn") for n in (1, 2, 3)
    ]
    assert (batch.records, batch.position, batch.consumed) == (3, 3, 22)


def test_a_preview_shows_events_and_rejections_and_stores_nothing(tmp_path: Path):
    rows = [request(1), {"upturn": 1, "kind": "x"}, *[request(n) for n in range(2, 20)]]
    shown = preview(
        str(put(tmp_path / "a.jsonl", jsonl(rows))),
        scrub=same,
        records=3,
        options=Options(clock=lambda: NOW),
    )
    assert shown.format == "native"
    assert [r.record for r in shown.records] == [1, 2, 3]
    assert [len(r.events) for r in shown.records] == [1, 0, 1]
    answer = json.loads(json.dumps(shown.to_json()))
    assert answer["records"][0]["events"][0]["id"] == "req-1"
    assert answer["records"][1]["rejected"][0]["field"] == "kind"
    assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]
