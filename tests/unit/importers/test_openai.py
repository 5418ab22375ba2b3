"""OpenAI: completions are requests, rows of files are confirmed answers."""

from __future__ import annotations

import pytest

from tests.unit.importers.reading import Read, refused
from upturn.events import EPOCH, Role, Signal
from upturn.importers import importer
from upturn.records import Json

ASKED = [{"role": "user", "content": "2+2?"}]
ANSWER = {"role": "assistant", "content": "4"}


@pytest.mark.parametrize(
    ("record", "signal", "value"),
    [
        ({"input": ASKED, "ideal": "4"}, Signal.CORRECTION, {"output": "4"}),
        ({"input": ASKED, "ideal": ["4", "four"]}, Signal.CORRECTION, {"output": "4"}),
        ({"messages": [*ASKED, ANSWER]}, Signal.CORRECTION, {"output": "4"}),
        (
            {
                "input": {"messages": ASKED, "tools": [], "parallel_tool_calls": True},
                "preferred_output": [ANSWER],
                "non_preferred_output": [{"role": "assistant", "content": "5"}],
            },
            Signal.CHOSEN,
            {"chosen": {"output": "4"}, "rejected": [{"output": "5"}]},
        ),
    ],
    ids=["evals", "evals-list", "sft", "dpo"],
)
def test_rows_of_files(record: dict[str, Json], signal: Signal, value: Json) -> None:
    read = Read("openai", record)
    assert (read.request.inputs, read.request.outputs) == ({"messages": ASKED}, {"output": "4"})
    assert (read.request.time, read.request.raw) == (EPOCH, record)
    assert (read.said.signal, read.said.value) == (signal, value)
    assert (read.said.rater, read.said.role) == ("dataset", Role.REVIEWER)
    assert read.said.request_id == read.request.id
    assert Read("openai", dict(reversed(record.items()))).request.id == read.request.id


def test_a_message_that_is_not_trained_on_is_confirmed_by_nobody() -> None:
    read = Read("openai", {"messages": [*ASKED, {**ANSWER, "weight": 0}]})
    assert (len(read.requests), read.feedback) == (1, {})


def test_a_completion_is_a_request_of_its_own() -> None:
    record = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1771000000,
        "model": "gpt-4o",
        "messages": ASKED,
        "choices": [{"index": 0, "message": ANSWER}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
        "metadata": {"user_id": "u1", "program": "sums", "plan": "pro"},
    }
    request = Read("openai", record).request
    assert (request.id, request.time) == ("chatcmpl-1", "2026-02-13T16:26:40+00:00")
    assert (request.program, request.user, request.model) == ("sums", "u1", "gpt-4o")
    assert request.usage == {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}
    assert (request.outputs, request.slices) == (
        {"output": "4"},
        {"program": "sums", "plan": "pro"},
    )


def test_what_looks_like_it_and_is_not() -> None:
    known = importer("openai")
    assert not known.recognises({"messages": ASKED, "prompt_tokens": 3})
    assert not known.recognises({"input": 1, "output": 2})
    assert not known.recognises({"object": "list", "data": [{"object": "model"}]})


def test_messages_must_end_with_an_answer() -> None:
    assert refused("openai", {"messages": ASKED}).startswith(
        "messages must be messages that end with the assistant's"
    )
