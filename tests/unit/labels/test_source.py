"""A log as an event source, and labels as lines."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.labels.test_labels import ASKED, NOW, ask, correct, say
from upturn.events import Log, Signal
from upturn.events.source import EventSource, LogSource
from upturn.labels import compile_labels
from upturn.labels.age import Age
from upturn.labels.answers import label_lines

LATE, EARLY = say(Signal.KEPT, by="z", hour=3), correct(by="a", hour=1, team="sales")
LOG = Log(
    requests=(
        ask("r1"),
        ask("r2", program="other", user="u2", session="s", version="v", model="m"),
        ask("r3", error="down", outputs={}),
        ask("r4", time=(NOW - timedelta(hours=1)).isoformat()),
    ),
    feedback=(LATE, EARLY, say(Signal.THUMBS, by="b", to="r4")),
)


def test_a_log_answers_what_a_store_answers():
    source: EventSource = LogSource(LOG)
    assert [r.id for r in source.requests()] == ["r1", "r2", "r3", "r4"]
    assert [r.id for r in source.requests(program="other")] == ["r2"]
    joined = {r.id: [f.id for f in many] for r, many in source.joined()}
    assert joined == {"r1": [EARLY.id, LATE.id], "r4": ["r4-b-thumbs-1"]}
    assert list(source.joined(program="other")) == []
    second = list(source.exposures())[1]
    assert (second.id, second.user, second.session, second.version, second.model) == (
        *("r2", "u2", "s", "v", "m"),
    )
    flags = {e.id: (e.has_feedback, e.error) for e in source.exposures()}
    assert flags == {
        "r1": (True, False),
        "r2": (False, False),
        "r3": (False, True),
        "r4": (True, False),
    }


def test_there_is_a_line_for_every_request_and_field():
    source = LogSource(LOG)
    made = compile_labels(source, now=NOW, min_age_hours=72)
    lines = list(label_lines(source, made, Age(NOW, 72)))
    assert {tuple(line) for line in lines} == {
        ("request_id", "field", "label", "probability", "rules", "abstained")
    }
    told = [(line["request_id"], line["field"], line["label"], line["abstained"]) for line in lines]
    assert told == [
        ("r1", "team", "sales", None),
        ("r1", "priority", "low", None),
        ("r2", "team", None, "no_feedback"),
        ("r2", "priority", None, "no_feedback"),
        ("r3", None, None, "request_error"),
        ("r4", "team", None, "too_young"),
        ("r4", "priority", None, "too_young"),
    ]
    assert lines[0]["rules"] == ["correction", "kept"]
    assert 0.9 < lines[0]["probability"] < 0.96
    assert lines[2]["rules"] == []


def test_one_program_can_be_labelled_alone():
    made = compile_labels(LOG, now=NOW, min_age_hours=72, program="other")
    assert made.reasons == {"no_feedback": 1}


def test_a_row_keeps_consent_and_loses_the_raw_record():
    request = ask(consent=("train",), raw={"big": "record"})
    log = Log(requests=(request,), feedback=(EARLY,))
    (row,) = compile_labels(log, now=ASKED + timedelta(days=9), min_age_hours=0).rows
    assert row.request.raw is None
    assert row.to_example().consent == ("train",)
