"""Langfuse: the two spellings, the five score types, and who said it."""

from __future__ import annotations

import pytest

from tests.unit.importers.reading import Read, refused
from upturn.events import Role, Signal
from upturn.records import Json

SCORE: dict[str, Json] = {
    "id": "s1",
    "timestamp": "2026-05-29 13:50:00.000000",
    "trace_id": "t1",
    "observation_id": None,
    "name": "helpful",
    "source": "API",
    "data_type": "NUMERIC",
    "value": 0.5,
    "string_value": None,
    "comment": None,
}
OBSERVATION: dict[str, Json] = {
    "id": "o1",
    "trace_id": "t1",
    "type": "GENERATION",
    "parent_observation_id": None,
    "start_time": "2026-05-29 13:46:18.000000",
    "end_time": "2026-05-29 13:46:18.250000",
    "name": "llm",
    "input": "Hi",
    "output": "Hello",
}


def camel(record: dict[str, Json]) -> dict[str, Json]:
    words = {key: key.split("_") for key in record}
    return {w[0] + "".join(p.title() for p in w[1:]): record[k] for k, w in words.items()}


@pytest.mark.parametrize(
    ("change", "signal", "value", "comment"),
    [
        ({}, Signal.SCORE, 0.5, None),
        ({"data_type": "BOOLEAN", "value": 1}, Signal.THUMBS, True, None),
        ({"data_type": "BOOLEAN", "value": 0, "string_value": "False"}, Signal.THUMBS, False, None),
        (
            {"data_type": "BOOLEAN", "value": None, "string_value": "True"},
            Signal.THUMBS,
            True,
            None,
        ),
        ({"data_type": "CATEGORICAL", "string_value": "warm"}, Signal.CATEGORY, "warm", None),
        ({"data_type": "CATEGORICAL", "value": "warm"}, Signal.CATEGORY, "warm", None),
        ({"data_type": "TEXT", "string_value": "Fine."}, Signal.COMMENT, None, "Fine."),
        (
            {"data_type": "CORRECTION", "value": 0, "string_value": "At ten."},
            Signal.CORRECTION,
            {"output": "At ten."},
            None,
        ),
        (
            {"data_type": "CORRECTION", "value": 0, "long_string_value": '{"team": "hours"}'},
            Signal.CORRECTION,
            {"team": "hours"},
            None,
        ),
    ],
)
def test_score_types_in_both_spellings(
    change: dict[str, Json], signal: Signal, value: Json, comment: str | None
) -> None:
    snake = SCORE | change
    for record in (snake, camel(snake)):
        said = Read("langfuse", record).said
        assert (said.signal, said.value, said.comment) == (signal, value, comment)
        assert (said.id, said.request_id, said.name) == ("s1", "t1", "helpful")
        assert said.time == "2026-05-29T13:50:00+00:00"
        assert said.raw is record


@pytest.mark.parametrize(
    ("change", "rater", "role"),
    [
        ({}, "langfuse:API", Role.CUSTOMER),
        ({"trace": {"userId": "u9"}}, "u9", Role.CUSTOMER),
        ({"source": "EVAL", "trace": {"userId": "u9"}}, "langfuse:EVAL", Role.JUDGE),
        ({"source": "ANNOTATION", "author_user_id": "r1"}, "r1", Role.REVIEWER),
        ({"source": "ANNOTATION"}, "langfuse:ANNOTATION", Role.REVIEWER),
    ],
)
def test_who_scored(change: dict[str, Json], rater: str, role: Role) -> None:
    said = Read("langfuse", SCORE | change).said
    assert (said.rater, said.role) == (rater, role)


def test_a_score_of_an_observation_speaks_of_it() -> None:
    assert Read("langfuse", SCORE | {"observation_id": "o1"}).said.request_id == "o1"


def test_a_score_of_a_session_speaks_of_no_answer() -> None:
    record = SCORE | {"trace_id": None, "session_id": "s"}
    assert refused("langfuse", record) == (
        "trace_id must name the trace that was scored, got a score of session_id 's'"
    )


def test_a_rejection_names_the_field_as_it_is_spelled() -> None:
    record = camel(OBSERVATION | {"start_time": "soon"})
    assert refused("langfuse", record).startswith("startTime must be an ISO 8601 time")


def test_an_observation_is_a_step_of_its_parent_or_of_the_trace() -> None:
    request = Read("langfuse", OBSERVATION).request
    assert (request.parent, request.latency_ms, request.program) == ("t1", 250.0, "llm")
    assert request.outputs == {"output": "Hello"}
    nested = Read("langfuse", OBSERVATION | {"parent_observation_id": "o0"}).request
    assert nested.parent == "o0"


def test_an_observation_of_level_error_has_no_answer() -> None:
    record = OBSERVATION | {"level": "ERROR", "status_message": "timed out"}
    request = Read("langfuse", record).request
    assert (request.error, request.outputs) == ("timed out", {})
    assert Read("langfuse", OBSERVATION | {"level": "ERROR"}).request.error == "ERROR"


def test_latency_of_the_api_is_in_seconds() -> None:
    record = OBSERVATION | {"end_time": None, "latency": 1.5}
    assert Read("langfuse", record).request.latency_ms == 1500.0


def test_whose_trace_it_is_is_no_slice() -> None:
    record = OBSERVATION | {"metadata": {"user_id": "u1", "plan": "pro"}, "tags": ["vip"]}
    request = Read("langfuse", record).request
    assert request.slices == {"plan": "pro", "tag:vip": "true", "type": "GENERATION"}


def test_other_records_are_refused() -> None:
    assert refused("langfuse", {"id": "x"}).startswith("must be a trace, an observation or a score")
