"""What a feedback store keeps, on every database."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.store.stores import KINDS, database, feedback, request
from upturn.errors import DataError, StorageError
from upturn.events import Purpose
from upturn.events.source import EventSource, Exposure
from upturn.store import Added, Checkpoint, Conflict, FeedbackStore, StoreCounts, broken_rule

PLANTED = "planted-7f3a-secret"


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def store(url: str) -> Iterator[FeedbackStore]:
    with FeedbackStore.open(url, clock=lambda: datetime(2026, 6, 1, tzinfo=UTC)) as store:
        yield store


def test_a_new_store_is_empty(store: FeedbackStore):
    assert store.counts() == StoreCounts(requests=0, feedback=0, orphans=0, programs={})
    assert store.request("r1") is None
    assert store.feedback_on("r1") == ()
    assert list(store.requests()) == list(store.joined()) == list(store.exposures()) == []
    assert store.add([]) == Added()


def test_events_come_back_unchanged(store: FeedbackStore):
    full = request(
        session="s1",
        parent="r0",
        version="v2",
        model="m",
        latency_ms=12.5,
        usage={"input_tokens": 3},
        cost_usd=0.1,
        error="timeout",
        outputs={},
        slices={"language": "de"},
        consent=(Purpose.EVALUATE, Purpose.TRAIN),
        origin="langfuse",
        raw={"b": [1, 2.0, None, True], "a": {"ü": "\x00\U0001f600"}},
    )
    told = feedback(
        comment="no", name="quality", program="triage", consent=(), origin="opik", raw="text"
    )
    assert store.add([full, told]) == Added(requests=1, feedback=1)
    assert store.request("r1") == full
    assert store.feedback_on("r1") == (told,)
    assert list(store.requests()) == [full]
    assert list(store.joined()) == [(full, (told,))]


def test_events_survive_closing(url: str):
    with FeedbackStore.open(url) as store:
        store.add([request()], checkpoint=Checkpoint(source="a.jsonl", position=7))
    with FeedbackStore.open(url, create=False) as store:
        assert store.request("r1") == request()
        assert store.checkpoint("a.jsonl") == Checkpoint(source="a.jsonl", position=7)


def test_the_same_event_twice_is_one_event(store: FeedbackStore):
    one = request(inputs={"a": 1, "b": 2}, latency_ms=3, raw={"x": 1})
    same = replace(one, inputs={"b": 2, "a": 1}, latency_ms=3.0, raw=None, origin="native")
    assert store.add([one, feedback(), same]) == Added(requests=1, feedback=1, duplicates=1)
    assert store.add([same, feedback()]) == Added(duplicates=2)
    assert store.add([same, feedback("f2")]) == Added(feedback=1, duplicates=1)
    assert store.request("r1") == one


def test_other_content_of_an_id_is_a_conflict(store: FeedbackStore):
    store.add([request(), feedback()])
    other = request(outputs={"team": PLANTED}, user=None)
    said = feedback(value={"team": PLANTED})
    added = store.add([other, said, request("r2")])
    reason = "differs from the stored one in"
    conflicts = (
        Conflict(kind="request", id="r1", reason=f"{reason} outputs, user"),
        Conflict(kind="feedback", id="f1", reason=f"{reason} value"),
    )
    assert added == Added(requests=1, conflicts=conflicts)
    assert store.request("r1") == request()
    assert store.feedback_on("r1") == (feedback(),)


def test_a_conflict_within_a_batch_is_reported(store: FeedbackStore):
    added = store.add([request(), request(program="other"), request()])
    reason = "differs from the stored one in program"
    conflict = Conflict(kind="request", id="r1", reason=reason)
    assert added == Added(requests=1, duplicates=1, conflicts=(conflict,))
    assert store.counts().programs == {"triage": 1}


def test_a_batch_counts_as_its_pieces_would(store: FeedbackStore):
    store.add([request(), feedback()])
    other = request(model="m")
    events = [other, other, request(), feedback(name="n"), feedback(), feedback(name="n")]
    together = store.add(events)
    apart = [store.add([e]) for e in events]
    assert (together.duplicates, len(together.conflicts)) == (2, 4)
    assert sum(a.duplicates for a in apart) == 2
    one = [c for a in apart for c in a.conflicts]
    assert sorted(map(str, together.conflicts)) == sorted(map(str, one))
    store.forget(request_ids=["r1"])
    assert store.add(events) == Added(forgotten=6)


def test_a_request_and_feedback_may_share_an_id(store: FeedbackStore):
    assert store.add([request("x"), feedback("x", "x")]) == Added(requests=1, feedback=1)
    assert list(store.joined()) == [(request("x"), (feedback("x", "x"),))]


def test_feedback_waits_for_its_request(store: FeedbackStore):
    store.add([feedback(program="triage"), feedback("f2", "r9", program="other")])
    assert store.counts() == StoreCounts(requests=0, feedback=2, orphans=2, programs={})
    assert store.counts(program="triage").orphans == 1
    assert list(store.joined()) == []
    assert len(store.feedback_on("r1")) == 1
    store.add([request()])
    assert store.counts() == StoreCounts(requests=1, feedback=2, orphans=1, programs={"triage": 1})
    assert [r.id for r, _ in store.joined()] == ["r1"]


def test_reading_is_by_id_and_program(store: FeedbackStore):
    source: EventSource = store
    ids = [f"r{i * 7919 % 1300:04}" for i in range(1300)]
    programs = {i: "even" if int(i[1:]) % 2 == 0 else "odd" for i in ids}
    store.add([request(i, program=programs[i], user=f"u{i[-1]}") for i in ids])
    store.add([feedback(f"{i}-{n}", i) for i in ids[:700] for n in ("b", "a")])
    assert [r.id for r in source.requests()] == sorted(ids)
    assert [r.id for r in source.requests(program="odd")] == sorted(
        i for i in ids if programs[i] == "odd"
    )
    assert [r.id for r in store.requests(user="u4")] == sorted(i for i in ids if i[-1] == "4")
    assert list(source.requests(program="none")) == []
    spoken = sorted(ids[:700])
    pairs = [(r.id, [f.id for f in told]) for r, told in source.joined()]
    assert pairs == [(i, [f"{i}-a", f"{i}-b"]) for i in spoken]
    assert [r.id for r, _ in source.joined(program="even")] == [
        i for i in spoken if programs[i] == "even"
    ]
    assert [(e.id, e.has_feedback) for e in source.exposures()] == [
        (i, i in set(spoken)) for i in sorted(ids)
    ]
    assert store.counts() == StoreCounts(
        requests=1300, feedback=1400, orphans=0, programs={"even": 650, "odd": 650}
    )
    even = store.counts(program="even")
    assert (even.requests, even.programs) == (650, {"even": 650})
    assert even.feedback == 2 * sum(programs[i] == "even" for i in spoken)


def test_ids_sort_by_code_point(store: FeedbackStore):
    ids = ["b", "B", "a", "_", "é", "Z", "-", "\U0001f600", "\uffee", "10", "9"]
    store.add([request(i) for i in ids])
    assert [r.id for r in store.requests()] == sorted(ids)
    assert [e.id for e in store.exposures()] == sorted(ids)


def test_feedback_is_by_time_and_id(store: FeedbackStore):
    early, late = "2026-03-02T10:00:00+00:00", "2026-03-02T10:00:00.500000+00:00"
    told = [feedback("b", time=late), feedback("c", time=early), feedback("a", time=late)]
    store.add([request(), *told])
    assert [f.id for f in store.feedback_on("r1")] == ["c", "a", "b"]


def test_an_exposure_says_what_a_request_was(store: FeedbackStore):
    store.add([request(session="s", version="v", model="m", error="no", slices={"a": "b"})])
    assert list(store.exposures()) == [
        Exposure(
            id="r1",
            time="2026-03-01T10:00:00+00:00",
            user="u1",
            session="s",
            version="v",
            model="m",
            slices={"a": "b"},
            error=True,
        )
    ]


def test_times_are_kept_in_utc(store: FeedbackStore):
    store.add([request(time="2026-03-01T12:00:00+02:00"), feedback(time="2026-03-02T10:00:00Z")])
    assert store.request("r1") == request(time="2026-03-01T10:00:00+00:00")
    assert store.feedback_on("r1") == (feedback(),)
    assert store.add([request()]) == Added(duplicates=1)


@pytest.mark.parametrize("time", ["2026-03-01T10:00:00", "yesterday", "2026-99-01T10:00:00+00:00"])
def test_a_time_without_meaning_is_refused_with_its_batch(store: FeedbackStore, time: str):
    with pytest.raises(DataError, match="ISO 8601 with a zone"):
        store.add(
            [request("r2"), request(time=time)], checkpoint=Checkpoint(source="s", position=1)
        )
    assert store.counts().requests == 0
    assert store.checkpoint("s") is None
    assert "ISO 8601" in broken_rule(request(time=time))
    assert broken_rule(request()) == ""


def test_an_empty_id_is_refused(store: FeedbackStore):
    assert "non-empty" in broken_rule(request(""))
    with pytest.raises(DataError, match="non-empty"):
        store.add([feedback("f1", "")])


def test_a_checkpoint_goes_with_its_events(store: FeedbackStore):
    store.add([request()], checkpoint=Checkpoint(source="a", position=1, state={"line": 1}))
    store.add([], checkpoint=Checkpoint(source="b", position=2))
    with pytest.raises(DataError):
        store.add([request("")], checkpoint=Checkpoint(source="a", position=2))
    assert store.checkpoint("a") == Checkpoint(source="a", position=1, state={"line": 1})
    store.add([], checkpoint=Checkpoint(source="a", position=3))
    assert store.checkpoint("a") == Checkpoint(source="a", position=3)
    store.clear_checkpoint("a")
    assert store.checkpoint("a") is None
    assert store.checkpoint("b") == Checkpoint(source="b", position=2)


def test_a_checkpoint_may_say_what_became_of_its_events(store: FeedbackStore):
    def told(added: Added) -> Checkpoint:
        return Checkpoint(source="a", position=added.requests, state={"again": added.duplicates})

    store.add([request(), request(), request("r2")], checkpoint=told)
    assert store.checkpoint("a") == Checkpoint(source="a", position=2, state={"again": 1})


def test_threads_may_share_a_store(store: FeedbackStore):
    def work(n: int) -> tuple[int, int]:
        ids = [f"{n // 2}-{i}" for i in range(50)]
        added = store.add([request(i) for i in ids] + [feedback(i, i) for i in ids])
        return added.requests + added.feedback, sum(1 for _ in store.joined())

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(work, range(12)))
    # Every batch came twice.
    assert sum(new for new, _ in said) == 600
    assert max(seen for _, seen in said) == 300 == store.counts().requests


def test_a_reader_sees_one_state_and_holds_no_writer(store: FeedbackStore):
    store.add([request(f"r{i:04}") for i in range(1200)])
    reader = store.requests()
    first = next(reader)
    store.add([request("r9999"), feedback("f1", "r0000")])
    assert [first.id, *(r.id for r in reader)] == [f"r{i:04}" for i in range(1200)]
    assert len(list(store.requests())) == 1201


def test_a_reader_may_be_left(url: str, store: FeedbackStore):
    store.add([request(f"r{i:04}") for i in range(1200)])
    for _ in range(20):
        reader = store.requests()
        next(reader)
        reader.close()  # type: ignore[attr-defined]
    assert store.forget(request_ids=["r0000"]).requests == 1


def test_two_stores_see_each_other(url: str, store: FeedbackStore):
    with FeedbackStore.open(url) as other:
        other.add([request()])
        assert store.request("r1") == request()
        store.forget(request_ids=["r1"])
        assert other.add([request()]) == Added(forgotten=1)


def test_reading_takes_no_memory(store: FeedbackStore):
    text = "x" * 500
    for start in range(0, 12_000, 4_000):
        ids = [f"r{i:05}" for i in range(start, start + 4_000)]
        store.add([request(i, inputs={"m": text}) for i in ids])
        store.add([feedback(i, i) for i in ids])
    list(zip(store.requests(), range(10), strict=False))
    tracemalloc.start()
    try:
        for walk in (store.requests, store.joined, store.exposures):
            tracemalloc.reset_peak()
            assert sum(1 for _ in walk()) == 12_000
            assert tracemalloc.get_traced_memory()[1] < 5_000_000  # all of them: 30 MB and more
    finally:
        tracemalloc.stop()


def test_a_store_that_is_not_there_is_not_made(url: str):
    with pytest.raises(StorageError, match="the store must exist") as error:
        FeedbackStore.open(url, create=False)
    assert "upturn ingest" in error.value.fix
