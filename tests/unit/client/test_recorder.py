"""Recording DSPy programs: what is written down, whose it is, and that nothing changes."""

from __future__ import annotations

import asyncio
import copy
import threading
import time

import dspy
import pytest
from dspy.utils import DummyLM

import upturn
from tests.unit.client.kept import keeping
from upturn.events import Problems
from upturn.events.checks import LineCheck, check_kind, check_request
from upturn.events.lines import Line


class Triage(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.route = dspy.Predict("message -> team")

    def forward(self, message: str, note: str = "") -> dspy.Prediction:
        if message == "raise":
            raise ValueError("no such team: " + "x" * 1000)
        return self.route(message=message)

    async def aforward(self, message: str, note: str = "") -> dspy.Prediction:
        return await self.route.acall(message=message)


@pytest.fixture
def kept(tmp_path):
    with keeping(tmp_path / "spill") as kept, dspy.context(lm=lm(), adapter=dspy.ChatAdapter()):
        yield kept


def lm() -> DummyLM:
    return DummyLM([{"team": "Delivery"}] * 50)


def native(event):
    """Returns an event as the collector would read it."""
    problems = Problems()
    check = LineCheck(Line(file="", number=0, value=event, text=""), problems, None)
    assert check_kind(check) == "request"
    request = check_request(check)
    problems.raise_if_any()
    assert request is not None
    return request


def test_a_call_becomes_a_request(kept):
    program = Triage()
    before = time.perf_counter()
    with upturn.record(
        program,
        name="triage",
        version="7",
        user="u1",
        session="s1",
        slices={"tier": "gold"},
        consent=["train"],
        client=kept.client,
    ):
        answer = program(message="where is it")
    passed_ms = (time.perf_counter() - before) * 1000
    assert answer.team == "Delivery"
    assert answer.request_id == upturn.last_request_id()
    (event,) = kept.events
    request = native(event)
    assert request.id == answer.request_id
    assert (request.program, request.version, request.model) == ("triage", "7", "dummy")
    assert (request.inputs, request.outputs) == ({"message": "where is it"}, {"team": "Delivery"})
    assert (request.user, request.session, request.slices) == ("u1", "s1", {"tier": "gold"})
    assert request.consent == ("train",)
    assert request.error is None
    assert request.parent is None
    assert request.latency_ms is not None
    assert 0 < request.latency_ms <= passed_ms + 0.001  # to which it is rounded


def test_the_answer_is_the_same_as_without_recording(kept):
    program = Triage()
    without = program(message="where is it")
    with upturn.record(program, client=kept.client):
        answer = program(message="where is it")
    assert answer.toDict() == without.toDict()
    assert answer == without
    assert program.callbacks == []
    assert not hasattr(program(message="x"), "request_id")
    assert len(kept.events) == 1


def test_positional_arguments_get_their_names(kept):
    program = Triage()
    with upturn.record(program, client=kept.client):
        program("where is it", note="n")
    assert kept.events[0]["inputs"] == {"message": "where is it", "note": "n"}
    assert kept.events[0]["program"] == "Triage"


def test_an_error_is_recorded_and_raised_unchanged(kept):
    program = Triage()
    with (
        upturn.record(program, client=kept.client),
        pytest.raises(ValueError, match="no such team") as error,
    ):
        program(message="raise")
    assert str(error.value).startswith("no such team: ")
    (event,) = kept.events
    request = native(event)
    assert request.outputs == {}
    assert request.error is not None
    assert request.error.startswith("ValueError: no such team: x")
    assert len(request.error) == 500


def test_usage_is_summed_where_dspy_counts(kept):
    program = Triage()
    with dspy.context(track_usage=True), upturn.record(program, client=kept.client):
        answer = program(message="a")
    counted = answer.get_lm_usage()
    (event,) = kept.events
    expected = {k: v for k, v in (counted or {}).get("dummy", {}).items() if type(v) is int}
    assert event["usage"] == (expected or None)


def test_the_models_own_name_and_its_own_lm(kept):
    program = Triage()
    program.route.lm = DummyLM([{"team": "Sales"}])
    program.route.lm.model = "own/model"
    with upturn.record(program, client=kept.client):
        program(message="a")
    assert kept.events[0]["model"] == "own/model"


def test_async_calls_and_tasks(kept):
    program = Triage()

    async def one(number: int) -> tuple[str, str | None]:
        async with upturn.record(program, user=f"u{number}", client=kept.client):
            answer = await program.acall(message=f"m{number}")
            return answer.request_id, upturn.last_request_id()

    async def many():
        return await asyncio.gather(*(one(n) for n in range(10)))

    pairs = asyncio.run(many())
    assert all(a == b for a, b in pairs)
    assert len({a for a, _ in pairs}) == 10
    said = {e["id"]: (e["inputs"]["message"], e["user"]) for e in kept.events}
    assert [said[a] for a, _ in pairs] == [(f"m{n}", f"u{n}") for n in range(10)]
    assert program.callbacks == []


def test_threads_are_kept_apart(kept):
    program = Triage()
    found: dict[int, str | None] = {}
    together = threading.Barrier(4)

    def work(number: int) -> None:
        with (
            dspy.context(lm=lm()),
            upturn.record(program, user=f"u{number}", client=kept.client),
        ):
            together.wait(120)
            program(message=f"m{number}")
            found[number] = upturn.last_request_id()
            together.wait(120)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = {e["id"]: (e["inputs"]["message"], e["user"]) for e in kept.events}
    assert {n: said[found[n] or ""] for n in range(4)} == {n: (f"m{n}", f"u{n}") for n in range(4)}


def test_a_thread_that_entered_nothing_is_recorded_as_nobodys(kept):
    program = Triage()

    def work() -> None:
        with dspy.context(lm=lm()):
            program(message="from a thread")

    with upturn.record(program, user="u1", consent=["train"], version="2", client=kept.client):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    (event,) = kept.events
    assert (event["user"], event["version"]) == (None, "2")
    assert "consent" not in event


def test_steps_are_requests_with_a_parent(kept):
    program = Triage()
    with upturn.record(program, name="triage", steps=True, client=kept.client):
        answer = program(message="a")
        assert upturn.last_request_id() == answer.request_id
    step, top = kept.events
    assert (top["program"], step["program"]) == ("triage", "triage.Predict")
    assert step["parent"] == top["id"]
    assert "parent" not in top
    assert step["outputs"] == {"team": "Delivery"}
    assert program.route.callbacks == []


def test_a_recorded_program_inside_another_is_its_step(kept):
    class Outer(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Triage()

        def forward(self, message: str) -> dspy.Prediction:
            return self.inner(message=message)

    outer = Outer()
    with (
        upturn.record(outer, client=kept.client),
        upturn.record(outer.inner, client=kept.client),
    ):
        answer = outer(message="a")
    inner_event, outer_event = kept.events
    assert inner_event["parent"] == outer_event["id"] == upturn.last_request_id()
    # The inner program's answer is the outer one's: the first id stays the outer one's own.
    assert answer.request_id == outer_event["id"]


def test_nested_blocks_record_once_each(kept):
    program = Triage()
    with upturn.record(program, user="outer", client=kept.client):
        with upturn.record(program, user="inner", client=kept.client):
            program(message="a")
        program(message="b")
    program(message="c")
    assert [(e["inputs"]["message"], e["user"]) for e in kept.events] == [
        ("a", "inner"),
        ("b", "outer"),
    ]


def test_other_callbacks_stay(kept):
    class Counting(dspy.utils.callback.BaseCallback):
        calls = 0

        def on_module_end(self, call_id, outputs, exception):
            self.calls += 1

    counting = Counting()
    program = Triage()
    program.callbacks = [counting]
    with upturn.record(program, client=kept.client):
        program(message="a")
    program(message="b")
    assert counting.calls == 2
    assert program.callbacks == [counting]


def test_a_copy_made_while_recording_is_not_recorded(kept):
    program = Triage()
    with upturn.record(program, client=kept.client):
        twin = copy.deepcopy(program)
        twin(message="a")
        program(message="b")
    assert [e["inputs"]["message"] for e in kept.events] == ["b"]


def test_inputs_are_written_down_before_the_program_changes_them(kept):
    class Changing(dspy.Module):
        def forward(self, words: list[str]) -> dspy.Prediction:
            words.append("changed")
            return dspy.Prediction(n=len(words))

    program = Changing()
    with upturn.record(program, client=kept.client):
        program(words=["a"])
    assert kept.events[0]["inputs"] == {"words": ["a"]}


def test_answers_that_are_no_predictions(kept):
    class Plain(dspy.Module):
        def forward(self, kind: str):
            return {"text": "t", "dict": {"y": 1}, "none": None}[kind]

    program = Plain()
    with upturn.record(program, client=kept.client):
        assert program(kind="text") == "t"
        assert program(kind="dict") == {"y": 1}
        assert program(kind="none") is None
    assert [e["outputs"] for e in kept.events] == [{"output": "t"}, {"y": 1}, {}]


def test_a_field_of_that_name_is_left_alone(kept):
    class Named(dspy.Module):
        def forward(self) -> dspy.Prediction:
            return dspy.Prediction(request_id="the program's own")

    program = Named()
    with upturn.record(program, client=kept.client):
        assert program().request_id == "the program's own"
        assert upturn.last_request_id() is not None
    assert kept.events[0]["outputs"] == {"request_id": "the program's own"}


def test_values_that_are_no_json(kept):
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    class Anything(dspy.Module):
        def forward(self, **values):
            return dspy.Prediction(lone="\ud800", big=2**80, nan=float("nan"), kinds={1: {2}})

    program = Anything()
    loop: list = []
    loop.append(loop)
    with upturn.record(program, client=kept.client):
        program(odd=Odd(), image=b"\x00\x01", example=dspy.Example(a=1))
        program(loop=loop)
    (event,) = kept.events
    assert event["inputs"] == {"odd": "<Odd>", "image": "<2 bytes>", "example": {"a": 1}}
    assert event["outputs"] == {"lone": "?", "big": 2**80, "nan": None, "kinds": {"1": [2]}}
    assert kept.client.stats().errors == 1


def test_what_is_no_module_is_left_alone_with_a_warning(kept, caplog):
    with upturn.record(len, client=kept.client):
        assert len("abc") == 3
    assert "record() takes a dspy.Module" in caplog.text
    assert kept.client.stats().dropped == {"invalid": 1}


def test_feedback_finds_the_request(kept):
    program = Triage()
    with upturn.record(program, client=kept.client):
        answer = program(message="a")
    upturn.feedback(answer.request_id, thumbs=False, user="u1", client=kept.client)
    request, given = kept.events
    assert given["request_id"] == request["id"]
