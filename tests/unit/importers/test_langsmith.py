"""LangSmith: what ``dotted_order`` tells, and the several things one feedback says."""

from __future__ import annotations

import pytest

from tests.unit.importers.reading import Read, refused
from upturn.events import Role, Signal
from upturn.records import Json

A, B = "497f6eca-0000-4000-8000-000000000001", "497f6eca-0000-4000-8000-000000000002"
ORDER = f"20260429T004912090000Z{A}.20260429T004913100000Z{B}"
RUN: dict[str, Json] = {
    "id": B,
    "name": "llm",
    "run_type": "llm",
    "start_time": "2026-04-29T00:49:13.100000",
    "end_time": "2026-04-29T00:49:14.350000",
    "parent_run_id": None,
    "dotted_order": ORDER,
    "inputs": {"q": 1},
    "outputs": {"a": 2},
}
FEEDBACK: dict[str, Json] = {
    "id": "f1",
    "run_id": A,
    "key": "good",
    "score": None,
    "value": None,
    "comment": None,
    "correction": None,
    "created_at": "2026-05-05T23:23:11.077838",
    "feedback_source": {"type": "api", "user_id": None},
}


def test_the_parent_is_stated_or_stands_in_dotted_order() -> None:
    assert Read("langsmith", RUN).request.parent == A
    assert Read("langsmith", RUN | {"parent_run_id": "p"}).request.parent == "p"
    assert Read("langsmith", RUN | {"dotted_order": f"20260429T004913Z{B}"}).rejected != []


def test_dotted_order_tells_id_and_start_where_they_are_missing() -> None:
    request = Read("langsmith", RUN | {"id": None, "start_time": None}).request
    assert (request.id, request.time) == (B, "2026-04-29T00:49:13.100000+00:00")
    assert request.latency_ms == 1250.0


def test_session_id_is_the_project_and_the_thread_the_conversation() -> None:
    extra = {"metadata": {"thread_id": "th", "user_id": "u"}}
    request = Read("langsmith", RUN | {"session_id": "project", "extra": extra}).request
    assert (request.session, request.user, request.slices) == ("th", "u", {"run_type": "llm"})


def test_a_failed_run_has_no_answer() -> None:
    request = Read("langsmith", RUN | {"status": "error", "error": None}).request
    assert (request.error, request.outputs) == ("error", {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"score": 0.5}, [("f1", Signal.SCORE, 0.5)]),
        ({"score": True}, [("f1", Signal.THUMBS, True)]),
        ({"value": "warm"}, [("f1", Signal.CATEGORY, "warm")]),
        ({"value": 3}, [("f1", Signal.SCORE, 3)]),
        ({"comment": "Thanks"}, [("f1", Signal.COMMENT, None)]),
        ({"correction": "At ten."}, [("f1", Signal.CORRECTION, {"output": "At ten."})]),
        ({"score": 2, "value": 2}, [("f1", Signal.SCORE, 2)]),
        (
            {"score": 0, "value": "bad", "correction": {"team": "a"}},
            [
                ("f1", Signal.SCORE, 0),
                ("f1/value", Signal.CATEGORY, "bad"),
                ("f1/correction", Signal.CORRECTION, {"team": "a"}),
            ],
        ),
        ({"correction": {"score": 1}}, [("f1", Signal.CORRECTION, {"score": 1})]),
    ],
)
def test_what_a_feedback_says(
    change: dict[str, Json], said: list[tuple[str, Signal, Json]]
) -> None:
    read = Read("langsmith", FEEDBACK | change)
    assert [(f.id, f.signal, f.value) for f in read.feedback.values()] == said
    assert {f.request_id for f in read.feedback.values()} == {A}


def test_a_corrected_score_is_a_reviewers_score() -> None:
    judge = {"type": "auto_eval", "user_id": None}
    read = Read(
        "langsmith",
        FEEDBACK | {"score": 1, "correction": {"score": 0}} | {"feedback_source": judge},
    )
    assert [(f.signal, f.value, f.role, f.rater) for f in read.feedback.values()] == [
        (Signal.SCORE, 1, Role.JUDGE, "langsmith:auto_eval"),
        (Signal.SCORE, 0, Role.REVIEWER, "langsmith:correction"),
    ]


def test_the_comment_outlives_an_unusable_score() -> None:
    read = Read("langsmith", FEEDBACK | {"score": "high", "comment": "Thanks"})
    assert (read.said.signal, read.said.comment) == (Signal.COMMENT, "Thanks")
    assert read.rejected == ["score must be a finite number, got 'high'"]


@pytest.mark.parametrize(
    ("source", "role"),
    [
        ({"type": "app"}, Role.CUSTOMER),
        ({"type": "model"}, Role.JUDGE),
        ({"type": "app", "metadata": {"annotation_queue_id": "q"}}, Role.REVIEWER),
        (None, Role.CUSTOMER),
    ],
)
def test_roles(source: Json, role: Role) -> None:
    record = FEEDBACK | {"score": 1, "feedback_source": source}
    assert Read("langsmith", record).said.role is role


def test_feedback_that_says_nothing() -> None:
    assert refused("langsmith", FEEDBACK) == (
        "score must be there, or a value, a correction or a comment; got None"
    )
    assert refused("langsmith", {"id": "x"}).startswith("must be a run or a feedback")
