"""Properties of the event model: what goes in comes out, in whatever order and pieces it came."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.store.stores import KINDS, database, execute
from upturn.events import Event, Feedback, Purpose, Request, Role, Signal
from upturn.events.values import broken_value_rule
from upturn.store import Added, FeedbackStore

# What both databases hold in a text of its own; inside JSON every character may stand.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
NAMES = TEXTS.filter(bool)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.text(max_size=10), JSON, max_size=3)
TIMES = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
CONSENT = st.none() | st.sets(st.sampled_from(Purpose)).map(lambda s: tuple(sorted(s)))
VALUES = {
    Signal.CORRECTION: FIELDS.filter(bool),
    Signal.EDIT: FIELDS.filter(bool),
    Signal.THUMBS: st.booleans(),
    Signal.RESOLVED: st.booleans(),
    Signal.STARS: st.integers(1, 5) | st.floats(1, 5),
    Signal.CHOSEN: FIELDS.filter(bool).map(lambda v: {"chosen": v, "rejected": [v]}),
    Signal.VERDICT: st.booleans() | st.dictionaries(st.text(), st.booleans(), min_size=1),
    Signal.SCORE: NUMBERS,
    Signal.CATEGORY: st.text(min_size=1),
    Signal.COMMENT: st.none(),
    Signal.RETAINED: st.floats(0, 1e6),
    Signal.DWELL: st.floats(0, 1e6),
}
REQUESTS = st.builds(
    Request,
    id=NAMES,
    time=TIMES,
    program=NAMES,
    inputs=FIELDS,
    outputs=FIELDS,
    user=st.none() | TEXTS,
    version=st.none() | TEXTS,
    model=st.none() | TEXTS,
    session=st.none() | TEXTS,
    parent=st.none() | TEXTS,
    latency_ms=st.none() | st.floats(0, 1e9) | st.integers(0, 2**50),
    usage=st.none() | st.dictionaries(st.text(), st.integers(0, 2**60), max_size=2),
    cost_usd=st.none() | st.floats(0, 1e3),
    error=st.none() | TEXTS,
    slices=st.dictionaries(st.text(), st.text(), max_size=2),
    consent=CONSENT,
    origin=TEXTS,
    raw=JSON,
)


@st.composite
def told(draw: st.DrawFn) -> Feedback:
    signal = draw(st.sampled_from(Signal))
    made = Feedback(
        id=draw(NAMES),
        request_id=draw(st.sampled_from("abc") | NAMES),
        time=draw(TIMES),
        signal=signal,
        value=draw(VALUES.get(signal, st.just(True))),
        rater=draw(NAMES),
        role=draw(st.sampled_from(Role)),
        comment=draw(NAMES),
        name=draw(NAMES),
        program=draw(st.none() | TEXTS),
        consent=draw(CONSENT),
        origin=draw(TEXTS),
        raw=draw(JSON),
    )
    assert broken_value_rule(made) == ""
    return made


EVENTS = st.lists(REQUESTS | told(), max_size=12, unique_by=lambda e: (type(e), e.id))
PROPERTY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(params=KINDS)
def emptied(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Gives a function that returns the one store, emptied: a new one for each example is slow."""
    with database(request.param, tmp_path) as url, FeedbackStore.open(url) as store:

        def empty() -> FeedbackStore:
            execute(url, "DELETE FROM requests", "DELETE FROM feedback")
            return store

        yield empty


def held(store: FeedbackStore) -> list[Any]:
    """Returns everything that a store answers."""
    found = [store.counts(), list(store.requests()), list(store.joined())]
    return [*found, list(store.exposures())]


@PROPERTY
@given(events=EVENTS)
def test_any_event_comes_back_unchanged(emptied: Any, events: list[Event]):
    store: FeedbackStore = emptied()
    requests = sorted((e for e in events if isinstance(e, Request)), key=lambda r: r.id)
    feedback = sorted((e for e in events if isinstance(e, Feedback)), key=lambda f: (f.time, f.id))
    assert store.add(events) == Added(requests=len(requests), feedback=len(feedback))
    assert list(store.requests()) == requests
    for request_id in {f.request_id for f in feedback}:
        expected = tuple(f for f in feedback if f.request_id == request_id)
        assert store.feedback_on(request_id) == expected
    assert store.add(events) == Added(duplicates=len(events))
    assert list(store.requests()) == requests


@PROPERTY
@given(events=EVENTS, data=st.data())
def test_order_and_pieces_leave_no_trace(emptied: Any, events: list[Event], data: st.DataObject):
    store: FeedbackStore = emptied()
    store.add(events)
    expected = held(store)
    store = emptied()
    again = data.draw(st.permutations([*events, *events[:3]]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(again)), max_size=4)))
    pieces = [again[a:b] for a, b in zip([0, *cuts], [*cuts, len(again)], strict=True)]
    added = [store.add(piece) for piece in pieces]
    assert sum(a.requests + a.feedback for a in added) == len(events)
    assert sum(a.duplicates for a in added) == len(again) - len(events)
    assert held(store) == expected
