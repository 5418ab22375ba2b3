"""What is forgotten or too old is gone from the files, and stays away."""

from __future__ import annotations

import pytest

from tests.unit.store.stores import everything, feedback, request
from upturn.errors import DataError
from upturn.events import EPOCH
from upturn.store import Added, FeedbackStore, StoreCounts

PLANTED = "planted-7f3a-secret"


def test_a_forgotten_request_leaves_nothing(url: str, store: FeedbackStore):
    # Enough rows that some content lies outside of its page, and that pages are split and freed.
    filler = [request(f"k{i:05}", inputs={"m": "kept" * 50}) for i in range(2000)]
    long = f"{PLANTED} " * 2000
    doomed = [request(f"d{i}", inputs={"m": long}, user="du", raw={"m": long}) for i in range(20)]
    steps = [request(f"s{i}", user=None, parent=f"d{i}", error=PLANTED) for i in range(20)]
    told = [feedback(f"f{i}", f"s{i}", comment=long, value={"team": PLANTED}) for i in range(20)]
    store.add([*filler[:1000], *doomed, *steps, *told, *filler[1000:]])
    assert PLANTED in everything(url)
    gone = store.forget(request_ids=[f"d{i}" for i in range(20)])
    assert (gone.requests, gone.feedback) == (40, 20)
    assert gone.request_ids == tuple(sorted(r.id for r in [*doomed, *steps]))
    assert gone.feedback_ids == tuple(sorted(f.id for f in told))
    assert PLANTED not in everything(url)
    assert store.counts() == StoreCounts(
        requests=2000, feedback=0, orphans=0, programs={"triage": 2000}
    )
    assert store.add([*doomed, *steps, *told]) == Added(forgotten=60)
    assert store.add([feedback("late", "d3"), request("new", parent="s3")]) == Added(forgotten=2)
    assert PLANTED not in everything(url)


def test_forgetting_a_user_takes_all_they_asked(url: str, store: FeedbackStore):
    mine = [
        request("a", user=PLANTED),
        request("b", user=PLANTED),
        request("b1", parent="b", user=None),
    ]
    store.add([*mine, request("c"), feedback("f1", "a"), feedback("f2", "c")])
    gone = store.forget(users=[PLANTED])
    assert gone.request_ids == ("a", "b", "b1")
    assert (gone.requests, gone.feedback_ids) == (3, ("f1",))
    assert PLANTED not in everything(url)
    assert [r.id for r, _ in store.joined()] == ["c"]
    # What comes later from the same user names the user only; what hangs on it does not even that.
    assert store.add([request("d", user=PLANTED)]) == Added(forgotten=1)
    assert store.add([feedback("f3", "d"), request("d1", parent="d")]) == Added(forgotten=2)
    assert store.forget(users=[PLANTED]).requests == 0


def test_forgetting_a_rater_takes_all_they_said(url: str, store: FeedbackStore):
    store.add(
        [
            request(),
            feedback("f1", rater=PLANTED),
            feedback("f2"),
            feedback("f3", "r9", rater=PLANTED),
        ]
    )
    gone = store.forget(raters=[PLANTED])
    assert (gone.request_ids, gone.feedback_ids) == ((), ("f1", "f3"))
    assert PLANTED not in everything(url)
    assert store.add([feedback("f4", rater=PLANTED), feedback("f1")]) == Added(forgotten=2)
    assert store.counts().feedback == 1
    # A user of the same name is somebody else, until they are named as one.
    assert store.add([request("r5", user=PLANTED)]) == Added(requests=1)


def test_what_was_never_stored_can_be_forgotten(store: FeedbackStore):
    gone = store.forget(request_ids=["r1"])
    assert (gone.request_ids, gone.requests) == (("r1",), 0)
    batch = [request("r3", parent="r2"), feedback("f", "r3"), request("r2", parent="r1"), request()]
    assert store.add(batch) == Added(forgotten=4)
    assert store.counts().requests == 0


def test_parents_in_a_circle_can_be_forgotten(store: FeedbackStore):
    store.add([request("a", parent="c"), request("b", parent="a"), request("c", parent="b")])
    assert store.forget(request_ids=["a"]).requests == 3
    assert store.add([request("c", parent="b"), request("b", parent="c")]) == Added(forgotten=2)


def test_feedback_that_came_before_a_refused_request_goes(url: str, store: FeedbackStore):
    store.forget(users=["u1"])
    store.add([feedback(comment=PLANTED)])
    assert store.add([request()]) == Added(forgotten=1)
    assert store.counts().feedback == 0


def test_naming_a_forgotten_user_removes_nobody_elses_request(store: FeedbackStore):
    store.add([request(user="u2"), feedback()])
    store.forget(users=["u1"])
    assert store.add([request(user="u1")]) == Added(forgotten=1)
    assert list(store.joined()) == [(request(user="u2"), (feedback(),))]
    assert store.add([feedback("f2")]) == Added(feedback=1)


def test_old_events_expire_and_stay_away(url: str, store: FeedbackStore):
    old = request("old", time="2025-12-31T23:59:59+00:00", inputs={"m": PLANTED})
    on_old = feedback("f1", "old", time="2026-02-01T00:00:00+00:00", comment=PLANTED)
    before_1970 = request("older", time="1969-01-01T00:00:00+00:00")
    kept = [request("new", time="2026-01-01T00:00:00+00:00"), feedback("f2", "new")]
    timeless = request("timeless", time=EPOCH)
    store.add([old, on_old, before_1970, *kept, timeless])
    assert store.expire("2026-01-01T01:00:00+01:00") == 3
    assert PLANTED not in everything(url)
    assert [r.id for r in store.requests()] == ["new", "timeless"]
    assert store.add([old, before_1970, *kept, timeless]) == Added(duplicates=3, forgotten=2)
    assert store.expire("2025-01-01T00:00:00+00:00") == 0
    assert store.add([old]) == Added(forgotten=1)
    # An event without a time is as old as its arrival, which was on the first of June.
    assert store.expire("2026-06-01T00:00:01+00:00") == 3
    assert store.counts().requests == 0
    with pytest.raises(DataError, match="ISO 8601 with a zone"):
        store.expire("last year")
