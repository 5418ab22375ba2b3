"""Humanloop: logs of prompts, tools, flows and agents, with the judgements of their evaluators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import fsum
from typing import ClassVar

from upturn.events import EPOCH, Feedback, Request, Role
from upturn.events.problems import found
from upturn.importers._chat import answer
from upturn.importers._judged import Voice, is_page, judged, known_time
from upturn.importers._reading import Outcome, each, labels, loose, tokens
from upturn.importers.base import RejectedError
from upturn.importers.fields import (
    fields,
    items,
    mapping,
    milliseconds,
    optional_amount,
    optional_text,
    optional_time,
    salvage,
    text,
)
from upturn.records import Json

#: What a log may be of; the file's path is the program.
_FILES = ("prompt", "agent", "flow", "tool")
_TOKENS = ("prompt_tokens", "output_tokens", "reasoning_tokens")
_PAGE = "records"
_ROLES = {"human": Role.REVIEWER, "llm": Role.JUDGE}


class HumanloopImporter:
    """Reads logs, alone, in pages of the API, or nested as the children of a trace.

    A human judgement with an end user's id is the customer's, without one a reviewer's; an
    evaluator of no stated type is code.
    """

    name: ClassVar[str] = "humanloop"
    title: ClassVar[str] = "Humanloop"

    def recognises(self, record: Mapping[str, Json]) -> bool:
        """Whether a record is a log, an evaluator's log, or a page of them."""
        return _is_ours(record) or is_page(record, _PAGE, _is_ours)

    def events(self, record: Mapping[str, Json]) -> Iterable[Outcome]:
        """Returns the requests and feedback of a log, of its children, or of a page of logs."""
        if not _is_ours(record) and isinstance(record.get(_PAGE), list):
            return each(record, _PAGE, self.events)
        return salvage([lambda: _row(record, None)])


def _is_ours(row: Mapping[str, Json]) -> bool:
    return _is_log(row) or _is_judgement(row)


def _is_log(row: Mapping[str, Json]) -> bool:
    return "evaluator_logs" in row or ("output_message" in row and "prompt" in row)


def _is_judgement(row: Mapping[str, Json]) -> bool:
    return "judgment" in row and "parent_id" in row


def _row(row: Mapping[str, Json], parent: str | None) -> Iterator[Outcome]:
    if _is_judgement(row):
        yield from _judgement(row, None, None)
        return
    identity, time = text(row, "id"), known_time(row, "end_time", "created_at", "start_time")
    parts: list[Callable[[], Iterable[Outcome]]] = [
        lambda: [_request(row, identity, parent)],
        lambda: each(row, "evaluator_logs", lambda log: _judgement(log, identity, time)),
        lambda: each(row, "trace_children", lambda log: _row(log, identity)),
    ]
    yield from salvage(parts)


def _request(row: Mapping[str, Json], identity: str, parent: str | None) -> Request:
    start = optional_time(row, "start_time", "created_at")
    trace = optional_text(row, "trace_id")
    file = next((loose(row.get(kind)) for kind in _FILES if row.get(kind)), {})
    error = optional_text(row, "error")
    seconds = optional_amount(row, "provider_latency")
    passed = milliseconds(optional_time(row, "start_time"), optional_time(row, "end_time"))
    costs = (optional_amount(row, key) for key in ("prompt_cost", "output_cost"))
    known = [c for c in costs if c is not None]
    return Request(
        id=identity,
        time=start or EPOCH,
        program=optional_text(file, "path", "name") or HumanloopImporter.name,
        inputs=_inputs(row),
        outputs={} if error else _outputs(row),
        user=optional_text(row, "user"),
        version=optional_text(file, "version_id"),
        model=optional_text(file, "model"),
        session=optional_text(row, "session_id"),
        parent=optional_text(row, "trace_parent_id")
        or parent
        or (trace != identity and trace)
        or None,
        latency_ms=seconds * 1000 if passed is None and seconds is not None else passed,
        usage=tokens({k: row.get(k) for k in _TOKENS}),
        cost_usd=fsum(known) if known else None,
        error=error,
        slices=labels(row.get("metadata"), None, **_where(row)),
        origin=HumanloopImporter.name,
        raw=row,
    )


def _where(row: Mapping[str, Json]) -> dict[str, Json]:
    return {key: row.get(key) for key in ("environment", "source")}


def _inputs(row: Mapping[str, Json]) -> dict[str, Json]:
    messages = items(row, "messages")
    return mapping(row, "inputs") | ({"messages": messages} if messages else {})


def _outputs(row: Mapping[str, Json]) -> dict[str, Json]:
    message = loose(row.get("output_message"))
    if message.get("tool_calls") or row.get("output") is None:
        return answer([message] if message else [])
    return fields(row["output"], "output")


def _judgement(log: Mapping[str, Json], parent: str | None, time: str | None) -> Iterator[Feedback]:
    evaluator = loose(log.get("evaluator"))
    spec = loose(evaluator.get("spec"))
    kind = optional_text(spec, "evaluator_type")
    name = optional_text(evaluator, "path", "name") or "judgment"
    user = optional_text(log, "user")
    role = Role.CUSTOMER if kind == "human" and user else _ROLES.get(kind or "", Role.SYSTEM)
    voice = Voice(
        origin=HumanloopImporter.name,
        request_id=optional_text(log, "parent_id") or parent or text(log, "parent_id"),
        rater=user or f"{HumanloopImporter.name}:{name}",
        role=role,
        raw=log,
        time=optional_time(log, "created_at", "start_time") or time,
    )
    value = log.get("judgment")
    identity = optional_text(log, "id")
    if isinstance(value, str) and not value.strip():
        raise RejectedError("judgment", f"must be a judgement or null, got {found(value)}")
    if isinstance(value, str) and spec.get("return_type") == "text":
        yield voice.comments(value, id=identity, name=name)
    else:
        yield from judged(voice, name, value, id=identity, field="judgment")


IMPORTER = HumanloopImporter()
