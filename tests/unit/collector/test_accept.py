"""Acceptance: every rule by index, scrubbing before anything else, and programs kept apart."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.collector.natives import feedback, request
from upturn.collector.accept import Acceptance, in_each_thread
from upturn.collector.limits import Limits
from upturn.collector.parse import Unreadable
from upturn.errors import DataError
from upturn.events import Feedback, Signal

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def acceptance(scrub=lambda e: e) -> Acceptance:
    return Acceptance(Limits(), scrub, lambda: NOW)


def faults(kind, values, programs=None):
    batch = acceptance().native(kind, values, programs)
    return [(f.index, f.field, f.rule, f.status) for f in batch.faults]


def test_good_events_are_taken_with_and_without_the_two_keys():
    values = [request("a"), {"upturn": 1, "kind": "request", **request("b")}]
    batch = acceptance().native("request", values, None)
    assert [(i, e.id) for i, e in batch.events] == [(0, "a"), (1, "b")]
    assert batch.faults == []


def test_each_fault_has_its_index_and_takes_nothing_else_with_it():
    values = [
        request("a", time="yesterday"),
        request("b"),
        3,
        Unreadable("must be one whole JSON object, got: x"),
        {**request("c"), "kind": "feedback"},
        {**request("d"), "upturn": 2},
        request("e", time="2027-06-01T00:00:00+00:00"),
    ]
    batch = acceptance().native("request", values, None)
    assert [e.id for _, e in batch.events] == ["b"]
    assert [(f.index, f.field, f.rule) for f in batch.faults] == [
        (0, "time", "must be an ISO 8601 time with a zone, got 'yesterday'"),
        (2, "", "must be a JSON object, got 3"),
        (3, "", "must be one whole JSON object, got: x"),
        (4, "kind", "must be 'request' on this path, got 'feedback'"),
        (5, "upturn", "must be 1, the format this version reads; got 2"),
        (
            6,
            "time",
            "must not lie in the future (now is 2026-11-20T00:00:00+00:00), "
            "got '2027-06-01T00:00:00+00:00'",
        ),
    ]


def test_a_value_that_its_signal_cannot_have_is_a_fault():
    assert faults("feedback", [feedback("f", "a", signal="stars", value=9)]) == [
        (0, "value", "must be a number from 1 to 5, got 9", 422)
    ]


def test_an_id_names_one_event_in_a_body():
    same, other = request("a"), request("a", outputs={"team": "Sales"})
    batch = acceptance().native("request", [same, same, other], None)
    assert [i for i, _ in batch.events] == [0, 1]
    assert [(f.index, f.status) for f in batch.faults] == [(2, 409)]


def test_long_ids_are_refused_and_path_like_ones_are_data():
    assert faults("request", [request("x" * 501)]) == [
        (0, "id", "must have at most 500 characters, got 501", 422)
    ]
    batch = acceptance().native("request", [request("../../etc/passwd'; DROP TABLE x")], None)
    assert batch.events[0][1].id == "../../etc/passwd'; DROP TABLE x"


def test_requests_of_other_programs_are_403():
    values = [request("a"), request("b", program="billing")]
    assert faults("request", values, frozenset({"triage"})) == [
        (1, "program", "must be one of the token's programs (triage), got 'billing'", 403)
    ]


def test_feedback_without_a_program_gets_the_only_one():
    one = acceptance().native("feedback", [feedback("f", "a")], frozenset({"triage"}))
    assert one.events[0][1].program == "triage"
    two = acceptance().native("feedback", [feedback("f", "a")], frozenset({"triage", "x"}))
    assert two.events[0][1].program is None
    assert faults("feedback", [feedback("f", "a", program="y")], frozenset({"triage"}))[0][3] == 403


def test_scrubbing_comes_before_every_other_use():
    def scrub(event):
        return replace(event, id="clean", inputs={"message": "<EMAIL>"})

    batch = acceptance(scrub).native("request", [request("a@b.example")], None)
    assert batch.events[0][1].id == "clean"
    assert batch.events[0][1].inputs == {"message": "<EMAIL>"}


def test_what_cannot_be_scrubbed_is_not_taken():
    def scrub(event):
        if event.id == "bad":
            raise DataError("values must be nested at most 200 deep")
        return event

    batch = acceptance(scrub).native("request", [request("bad"), request("good")], None)
    assert [e.id for _, e in batch.events] == ["good"]
    assert [f.rule for f in batch.faults] == ["values must be nested at most 200 deep"]


def test_each_thread_gets_a_scrubber_of_its_own():
    import threading

    made = []

    def make():
        made.append(threading.get_ident())
        return lambda event: event

    scrub = in_each_thread(make)
    event = acceptance().native("request", [request("a")], None).events[0][1]
    assert scrub(event) is event
    assert scrub(event) is event
    other = threading.Thread(target=scrub, args=(event,))
    other.start()
    other.join()
    assert len(made) == 2
    assert len(set(made)) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)  # fmt: skip
KEYS = st.sampled_from([*feedback("f", "a"), *request("a"), "comment", "consent", "name", "kind"])


@given(st.lists(st.dictionaries(KEYS, JSON | st.sampled_from([*Signal, "a", 1, True]))))
def test_whatever_comes_is_an_event_or_a_fault(changes):
    values = [{**feedback("f", "a"), **c} for c in changes]
    batch = acceptance().native("feedback", values, None)
    taken = {i for i, _ in batch.events}
    assert taken | {f.index for f in batch.faults} == set(range(len(values)))
    assert taken.isdisjoint(f.index for f in batch.faults)
    assert all(isinstance(e, Feedback) for _, e in batch.events)
    values = [{**request(str(i)), **c} for i, c in enumerate(changes)]
    batch = acceptance().native("request", values, None)
    assert {i for i, _ in batch.events} | {f.index for f in batch.faults} == set(range(len(values)))
