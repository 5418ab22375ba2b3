"""Texts and numbers of every kind: data, kept as they are or by one stated rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.store.stores import feedback, request
from upturn.errors import DataError
from upturn.store import Added, Checkpoint, FeedbackStore, broken_rule

AWKWARD = (
    "'; DROP TABLE requests; --",
    '"quoted" ? %s :name {{ 7*7 }} ${x} {0}',
    "../../etc/passwd",
    "..\\..\\windows",
    "%00%0a",
    "line\nbreak\ttab\r",
    "x" * 10_000,
    "é" * 3_000,
    "\U0001f600\u202e\ufeff",
    "\\x00 \\u0000",
)


@pytest.mark.parametrize("text", AWKWARD)
def test_any_text_is_data(store: FeedbackStore, text: str):
    asked = request(text, user=text, session=text, error=text, inputs={text: text}, raw=[text])
    told = feedback(text, text, rater=text, comment=text, name=text, value={text: text})
    checkpoint = Checkpoint(source=text, position=2**40, state={text: text})
    assert store.add([asked, told], checkpoint=checkpoint) == Added(requests=1, feedback=1)
    assert store.add([asked, told]) == Added(duplicates=2)
    assert store.request(text) == asked
    assert store.feedback_on(text) == (told,)
    assert list(store.joined()) == [(asked, (told,))]
    assert list(store.requests(user=text)) == [asked]
    assert store.checkpoint(text) == checkpoint
    gone = store.forget(request_ids=[text])
    assert (gone.request_ids, gone.requests, gone.feedback) == ((text,), 1, 1)


def test_a_program_is_data(store: FeedbackStore):
    name = "'; DROP TABLE requests; --" + "\U0001f600" * 400
    store.add([request(program=name)])
    assert store.counts(program=name).programs == {name: 1}
    assert [r.id for r in store.requests(program=name)] == ["r1"]
    assert "at most 500 characters, got 501" in broken_rule(request(program="p" * 501))


def test_what_no_database_holds_becomes_a_replacement(store: FeedbackStore):
    odd = request("a\x00b", user="\ud800", error="e\x00", inputs={"\x00": "\ud800"}, raw="\udfff")
    told = feedback("f\x00", "a\x00b", comment="\x00", name="n\ud800", program="p\x00")
    assert store.add([odd, told]) == Added(requests=1, feedback=1)
    assert store.add([odd, told]) == Added(duplicates=2)
    assert store.request("a\x00b") == replace(odd, id="a\ufffdb", user="\ufffd", error="e\ufffd")
    assert store.feedback_on("a\x00b") == (
        replace(
            told,
            id="f\ufffd",
            request_id="a\ufffdb",
            comment="\ufffd",
            name="n\ufffd",
            program="p\ufffd",
        ),
    )
    assert [r.id for r in store.requests(user="\ud800")] == ["a\ufffdb"]
    assert store.forget(request_ids=["a\x00b"]).requests == 1


def test_numbers_come_back_as_they_were(store: FeedbackStore):
    numbers: Any = {"big": 2**70, "small": -(2**70), "edge": 2**64 - 1, "float": 1e300, "one": 1.0}
    store.add([request(inputs=numbers), request("r2", inputs={"x": float("nan")}, cost_usd=1e999)])
    found = store.request("r1")
    assert found is not None
    assert found.inputs == numbers
    assert type(found.inputs["one"]) is float
    nothing = store.request("r2")
    assert nothing is not None
    assert (nothing.inputs, nothing.cost_usd) == ({"x": None}, None)


def test_what_is_no_json_is_refused(store: FeedbackStore):
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for value in ({1, 2}, deep, object()):
        with pytest.raises(DataError, match="must be JSON that can be written"):
            store.add([request("r2"), request(inputs={"x": value})])
    assert store.counts().requests == 0
