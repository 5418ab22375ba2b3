"""OpenAI: stored chat completions, and the files of evals, fine-tuning (SFT) and preferences (DPO).

- A stored chat completion is a request of its own: the answer is its choice, what was asked stands
  in ``input`` or ``messages``; user, session and version come from its metadata.
- A row of a file has no id, no time and no program that answered. Its id is a hash of its content,
  its time the epoch, and its reference stands as the answer, for a row without an answer could
  teach nothing; the slice ``file`` keeps such rows apart from production. What the file says about
  the answer is feedback of the reviewer ``dataset``: a correction to ``ideal`` (the first, where
  there are several) or to the last message of the assistant, or the choice of ``preferred_output``.
  A last message of weight 0 is not trained on, and is confirmed by nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, cast

from upturn.events import EPOCH, Feedback, Request, Role, Signal
from upturn.events.problems import found
from upturn.importers._chat import answer
from upturn.importers._reading import Outcome, as_object, each, first_text, labels, loose, tokens
from upturn.importers.base import RejectedError
from upturn.importers.fields import (
    decoded,
    derived_id,
    fields,
    is_messages,
    iso_time,
    items,
    mapping,
    optional_text,
    salvage,
    text,
)
from upturn.records import Json

_SFT_KEYS = frozenset(
    ("messages", "tools", "functions", "parallel_tool_calls", "metadata", "response_format")
)


class OpenaiImporter:
    """See the module."""

    name: ClassVar[str] = "openai"
    title: ClassVar[str] = "OpenAI"

    def recognises(self, record: Mapping[str, Json]) -> bool:
        return _kind(record) != ""

    def events(self, record: Mapping[str, Json]) -> Iterable[Outcome]:
        kind = _kind(record)
        if kind == "list":
            return each(record, "data", self.events)
        if kind:
            return salvage([lambda: _READERS[kind](record)])
        keys = found(sorted(record)[:8])
        raise RejectedError("", f"must be a completion or a row of a file, got the keys {keys}")


def _kind(record: Mapping[str, Json]) -> str:
    """What a record is, or "" where it is nothing of OpenAI."""
    named = record.get("object")
    if named == "chat.completion":
        return "completion"
    if named == "list" and isinstance(record.get("data"), list):
        ours = any(isinstance(r, dict) and _kind(r) == "completion" for r in record["data"][:3])
        return "list" if ours else ""
    if "preferred_output" in record and "input" in record:
        return "dpo"
    if "ideal" in record and "input" in record:
        return "evals"
    return "sft" if "messages" in record and _SFT_KEYS.issuperset(record) else ""


def _completion(r: Mapping[str, Json]) -> Iterator[Request]:
    metadata = loose(r.get("metadata"))
    choices = [as_object(choice) for choice in items(r, "choices")]
    yield Request(
        id=text(r, "id"),
        time=iso_time(r.get("created"), "created"),
        program=first_text(metadata, "program", "name", "application") or "openai",
        inputs=_asked(r),
        outputs=answer([mapping(choice, "message") for choice in choices]),
        user=optional_text(r, "user") or first_text(metadata, "user_id", "user"),
        session=first_text(metadata, "session_id", "conversation_id", "thread_id"),
        version=first_text(metadata, "version", "prompt_version", "release"),
        model=optional_text(r, "model"),
        usage=tokens(loose(r.get("usage"))),
        slices=labels(metadata, None),
        origin="openai",
        raw=r,
    )


def _asked(r: Mapping[str, Json]) -> dict[str, Json]:
    """Returns the messages that were asked, and the tools where there were any."""
    asked = decoded(r.get("messages", r.get("input")))
    if isinstance(asked, dict):
        return (
            _asked(cast(dict[str, Json], asked)) if "messages" in asked else fields(asked, "input")
        )
    tools = r.get("tools")
    return fields(asked, "input") | ({"tools": tools} if tools else {})


def _evals(r: Mapping[str, Json]) -> Iterator[Outcome]:
    ideal = decoded(r.get("ideal"))
    first: Json = cast(list[Json], ideal)[0] if isinstance(ideal, list) and ideal else ideal
    if first is None or first in ("", [], {}):
        raise RejectedError("ideal", f"must be an answer or a list of them, got {found(ideal)}")
    right = fields(first, "output")
    yield from _row(r, "evals", _asked(r), right, (Signal.CORRECTION, right))


def _sft(r: Mapping[str, Json]) -> Iterator[Outcome]:
    messages = items(r, "messages")
    if len(messages) < 2 or not is_messages(messages) or messages[-1]["role"] != "assistant":
        rule = f"must be messages that end with the assistant's, got {found(messages[-1:])}"
        raise RejectedError("messages", rule)
    right = _answer(messages[-1:], "messages")
    trained = messages[-1].get("weight", 1) != 0
    asked = _asked({**r, "messages": messages[:-1]})
    yield from _row(r, "sft", asked, right, (Signal.CORRECTION, right) if trained else None)


def _dpo(r: Mapping[str, Json]) -> Iterator[Outcome]:
    chosen, rejected = _said(r, "preferred_output"), _said(r, "non_preferred_output")
    choice = {"chosen": chosen, "rejected": [rejected]}
    yield from _row(r, "dpo", _asked(r), chosen, (Signal.CHOSEN, choice))


def _said(r: Mapping[str, Json], key: str) -> dict[str, Json]:
    messages = items(r, key)
    if not is_messages(messages):
        raise RejectedError(key, f"must be a list of messages, got {found(r.get(key))}")
    return _answer(messages, key)


def _answer(messages: list[Json], key: str) -> dict[str, Json]:
    right = answer(messages)
    if not right:
        raise RejectedError(key, f"must hold an answer, got {found(messages)}")
    return right


def _row(
    r: Mapping[str, Json],
    kind: str,
    asked: dict[str, Json],
    right: dict[str, Json],
    said: tuple[Signal, Json] | None,
) -> Iterator[Outcome]:
    """Yields a row of a file as a request, and what the file says about its answer."""
    if not asked:
        raise RejectedError("input", f"must be messages or a text, got {found(r.get('input'))}")
    identity = derived_id("openai", dict(r))
    yield Request(
        id=identity,
        time=EPOCH,
        program="openai",
        inputs=asked,
        outputs=right,
        slices=labels(r.get("metadata"), None, file=kind),
        origin="openai",
        raw=r,
    )
    if said is not None:
        yield Feedback(
            id=f"{identity}/{kind}",
            request_id=identity,
            time=EPOCH,
            signal=said[0],
            value=said[1],
            rater="dataset",
            role=Role.REVIEWER,
            origin="openai",
            raw=r,
        )


_READERS = {"completion": _completion, "evals": _evals, "sft": _sft, "dpo": _dpo}
IMPORTER = OpenaiImporter()
