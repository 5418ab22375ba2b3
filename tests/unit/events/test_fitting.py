"""Events of any shape, seen as one program's: mapped fields, and what does not fit, counted."""

from __future__ import annotations

from typing import Any

import pytest

from upturn.errors import ConfigError
from upturn.events import Feedback, FieldRules, Log, Request, Role, Signal
from upturn.events.fitting import FieldMap, FittedSource
from upturn.events.source import LogSource
from upturn.records import Json

TIME = "2026-09-01T10:00:00+00:00"
FIELDS = FieldRules(inputs=("message",), outputs={"team": ("billing", "returns")})
CHAT = {"messages": [{"role": "user", "content": "Where is my lamp?"}]}
MAP = FieldMap(inputs={"message": "messages[-1].content"}, outputs={"team": "output.team"})


def ask(request_id: str, **over: Any) -> Request:
    values: dict[str, Any] = {
        "id": request_id,
        "time": TIME,
        "program": "triage",
        "inputs": CHAT,
        "outputs": {"output": {"team": "billing"}},
        **over,
    }
    return Request(**values)


def say(request_id: str, signal: Signal, value: Json) -> Feedback:
    return Feedback(
        id=f"f-{request_id}-{signal}",
        request_id=request_id,
        time=TIME,
        signal=signal,
        value=value,
        rater="a",
        role=Role.AGENT,
    )


def fitted(requests: list[Request], feedback: list[Feedback], mapped: FieldMap) -> FittedSource:
    log = Log(requests=tuple(requests), feedback=tuple(feedback))
    return FittedSource(LogSource(log), "triage", FIELDS, mapped)


def test_fields_are_found_where_the_map_says():
    source = fitted([ask("r")], [say("r", Signal.THUMBS, True)], MAP)
    ((request, feedback),) = source.joined()
    assert request.inputs == {"message": "Where is my lamp?"}
    assert request.outputs == {"team": "billing"}
    assert [f.value for f in feedback] == [True]
    assert source.left_out == {}


@pytest.mark.parametrize(
    ("signal", "value", "seen"),
    [
        (Signal.CORRECTION, {"output": {"team": "returns"}}, {"team": "returns"}),
        (Signal.EDIT, {"output": {"team": "returns"}}, {"team": "returns"}),
        (
            Signal.CHOSEN,
            {"chosen": {"output": {"team": "returns"}}, "rejected": [{"output": {"team": "x"}}]},
            None,
        ),
        (
            Signal.CHOSEN,
            {
                "chosen": {"output": {"team": "returns"}},
                "rejected": [{"output": {"team": "billing"}}],
            },
            {"chosen": {"team": "returns"}, "rejected": [{"team": "billing"}]},
        ),
        (Signal.VERDICT, {"team": False, "other": True}, {"team": False}),
        (Signal.VERDICT, {"other": True}, None),
        (Signal.CORRECTION, {"output": {"team": "nowhere"}}, None),
    ],
)
def test_feedback_speaks_of_the_programs_fields(signal: Signal, value: Json, seen: Json):
    said = [say("r", signal, value), say("r", Signal.KEPT, True)]
    source = fitted([ask("r")], said, MAP)
    ((_, feedback),) = source.joined()
    assert [f.value for f in feedback if f.signal is signal] == ([] if seen is None else [seen])
    assert source.left_out == ({"feedback_unusable": 1} if seen is None else {})


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"inputs": {"messages": []}}, "input_missing"),
        ({"outputs": {"output": {}}}, "output_missing"),
        ({"outputs": {"output": {"team": "nowhere"}}}, "output_no_label"),
    ],
)
def test_what_does_not_fit_is_left_out_and_counted(over: dict[str, Any], reason: str):
    said = [say(i, Signal.KEPT, True) for i in ("a", "b")]
    source = fitted([ask("a", **over), ask("b")], said, MAP)
    assert [r.id for r, _ in source.joined()] == ["b"]
    assert source.left_out == {reason: 1}
    assert [r.id for r in source.requests()] == ["b"]


def test_one_text_is_the_only_field():
    source = fitted(
        [ask("r", inputs={"message": "hi"}, outputs={"output": "billing"})],
        [say("r", Signal.CORRECTION, {"output": "returns"})],
        FieldMap(),
    )
    ((request, (correction,)),) = source.joined()
    assert request.outputs == {"team": "billing"}
    assert correction.value == {"team": "returns"}


def test_a_failed_request_needs_no_answer():
    source = fitted([ask("r", outputs={}, error="timed out")], [], MAP)
    assert [r.error for r in source.requests()] == ["timed out"]


def test_a_wrong_expression_is_named():
    with pytest.raises(ConfigError, match=r"message: must be a JMESPath expression, got 'a\[\['"):
        FieldMap(inputs={"message": "a[["})
