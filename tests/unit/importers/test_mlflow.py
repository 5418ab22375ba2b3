"""MLflow: the trace stands for its root span, assessments by kind, and the door to a store."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path

import pytest

from tests.unit.importers.reading import Read
from upturn.errors import StorageError
from upturn.events import Role, Signal
from upturn.importers.mlflow_store import records
from upturn.records import Json


def span(number: int, parent: int | None = None, **more: Json) -> dict[str, Json]:
    def encoded(n: int) -> str:
        return base64.b64encode(n.to_bytes(8, "big")).decode()

    return {
        "span_id": encoded(number),
        "parent_span_id": None if parent is None else encoded(parent),
        "name": f"step {number}",
        "start_time_unix_nano": 1795170875954000000,
        "end_time_unix_nano": 1795170875955500000,
        "status": {"code": "STATUS_CODE_OK"},
        "attributes": {"mlflow.spanInputs": '{"q": 1}', "mlflow.spanOutputs": '"yes"'},
    } | more


def trace(*spans: Json, assessments: tuple[Json, ...] = (), **info: Json) -> dict[str, Json]:
    metadata = {"mlflow.trace.user": "u1", "mlflow.trace.session": "s1"}
    known = {
        "trace_id": "tr-1",
        "request_time": "2026-11-20T10:34:35.954Z",
        "state": "OK",
        "trace_metadata": metadata,
        "assessments": list(assessments),
    }
    return {"info": known | info, "data": {"spans": list(spans)}}


def judged(**more: Json) -> dict[str, Json]:
    return {
        "assessment_id": "a-1",
        "assessment_name": "team",
        "source": {"source_type": "HUMAN", "source_id": "r1"},
        "create_time": "2026-11-20T10:40:00.000Z",
        "valid": True,
    } | more


def test_the_trace_stands_for_its_root_span_and_steps_are_the_same_users() -> None:
    read = Read("mlflow", trace(span(1), span(2, 1), span(3, 2)))
    parents = {request.id: request.parent for request in read.requests.values()}
    assert parents == {
        "tr-1": None,
        "tr-1/0000000000000002": "tr-1",
        "tr-1/0000000000000003": "tr-1/0000000000000002",
    }
    assert {(r.user, r.session) for r in read.requests.values()} == {("u1", "s1")}
    root, step = read.requests["tr-1"], read.requests["tr-1/0000000000000002"]
    assert (root.program, root.inputs, root.outputs) == ("step 1", {"q": 1}, {"output": "yes"})
    assert step.latency_ms == 1.5


def test_order_of_spans_means_nothing() -> None:
    forward = Read("mlflow", trace(span(1), span(2, 1), span(3, 2)))
    backward = Read("mlflow", trace(span(3, 2), span(2, 1), span(1)))
    assert {i: r.to_json() for i, r in forward.requests.items()} == {
        i: r.to_json() for i, r in backward.requests.items()
    }


@pytest.mark.parametrize(
    ("said", "signal", "value", "role"),
    [
        ({"feedback": {"value": True}}, Signal.THUMBS, True, Role.CUSTOMER),
        ({"feedback": {"value": 0.5}}, Signal.SCORE, 0.5, Role.CUSTOMER),
        ({"feedback": {"value": "yes"}}, Signal.CATEGORY, "yes", Role.CUSTOMER),
        ({"expectation": {"value": "billing"}}, Signal.CORRECTION, {"team": "billing"}, "reviewer"),
        (
            {"assessment_name": "expected_response", "expectation": {"value": "At ten."}},
            Signal.CORRECTION,
            {"output": "At ten."},
            Role.REVIEWER,
        ),
        (
            {"expectation": {"serialized_value": {"value": '{"a": 1}'}}},
            Signal.CORRECTION,
            {"a": 1},
            Role.REVIEWER,
        ),
    ],
)
def test_assessments(said: dict[str, Json], signal: Signal, value: Json, role: str) -> None:
    feedback = Read("mlflow", trace(span(1), assessments=(judged(**said),))).said
    assert (feedback.signal, feedback.value, feedback.role) == (signal, value, role)
    assert (feedback.id, feedback.request_id, feedback.rater) == ("a-1", "tr-1", "r1")


def test_an_assessment_of_a_span_and_of_the_root() -> None:
    both = tuple(
        judged(assessment_id=f"a-{n}", span_id=f"{n:016x}", feedback={"value": True})
        for n in (1, 2)
    )
    read = Read("mlflow", trace(span(1), span(2, 1), assessments=both))
    about = {i: f.request_id for i, f in read.feedback.items()}
    assert about == {"a-1": "tr-1", "a-2": "tr-1/0000000000000002"}


def test_what_was_withdrawn_or_failed_is_rejected_and_takes_nothing_with_it() -> None:
    read = Read(
        "mlflow",
        trace(
            span(1),
            assessments=(
                judged(valid=False, feedback={"value": True}),
                judged(feedback={"value": None, "error": {"error_code": "TIMEOUT"}}),
                judged(assessment_id="a-3", feedback={"value": False}),
            ),
        ),
    )
    assert read.said.id == "a-3"
    assert read.rejected == [
        "assessments[0].valid must be true: it was withdrawn or replaced; got False",
        "assessments[1].feedback.error must not be there, got 'TIMEOUT'",
    ]


def test_a_wrong_path_is_not_made_a_database(tmp_path: Path) -> None:
    path = tmp_path / "gone.db"
    with pytest.raises(StorageError, match="the MLflow database must exist, found no file"):
        next(records(f"sqlite:///{path}", "e"))
    assert not path.exists()


def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    db = sqlite3.connect(path)
    db.execute("create table t (x)")
    db.commit()
    db.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="found other tables"):
        next(records(f"sqlite:///{path}", "e"))
    assert path.read_bytes() == before
