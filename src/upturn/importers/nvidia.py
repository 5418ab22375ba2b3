"""NVIDIA data flywheel: logs of OpenAI requests with their responses; the format has no feedback.

``workload_id`` is the program. ``client_id`` names a deployment, not a person, so it is a slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from upturn.events import EPOCH, Request
from upturn.importers._chat import answer, message
from upturn.importers._reading import Outcome, as_object, first_text, labels, loose, tokens
from upturn.importers.base import RejectedError
from upturn.importers.fields import derived_id, fields, items, optional_text, optional_time, text
from upturn.records import Json

_KEYS = frozenset({"workload_id", "client_id", "request", "response"})


class NvidiaImporter:
    """Reads one log entry a record, or the hit of a search that holds it under ``_source``."""

    name: ClassVar[str] = "nvidia"
    title: ClassVar[str] = "NVIDIA data flywheel"

    def recognises(self, record: Mapping[str, Json]) -> bool:
        """Whether a record is a log entry."""
        return loose(record.get("_source", record)).keys() >= _KEYS

    def events(self, record: Mapping[str, Json]) -> Iterable[Outcome]:
        """Returns the one request of an entry.

        Raises:
            RejectedError: it has no workload, no messages, or a time that is none.
        """
        return [_request(as_object(record.get("_source", record)), record)]


def _request(row: Mapping[str, Json], raw: Mapping[str, Json]) -> Request:
    asked, answered = _object(row, "request"), _object(row, "response")
    workload, client = text(row, "workload_id"), optional_text(row, "client_id")
    error = _error(answered)
    identity = optional_text(answered, "id")
    return Request(
        id=identity or derived_id(workload, client, row.get("timestamp"), asked, answered),
        time=optional_time(row, "timestamp") or optional_time(answered, "created") or EPOCH,
        program=workload,
        inputs=_inputs(asked),
        outputs={} if error else _outputs(answered),
        user=optional_text(asked, "user", "safety_identifier"),
        model=optional_text(answered, "model") or optional_text(asked, "model"),
        usage=tokens(loose(answered.get("usage"))),
        error=error,
        slices=labels(asked.get("metadata"), None, client_id=client),
        origin=NvidiaImporter.name,
        raw=raw,
    )


def _object(row: Mapping[str, Json], key: str) -> dict[str, Json]:
    try:
        return as_object(row.get(key))
    except RejectedError as error:
        raise RejectedError(key, error.rejection.rule) from None


def _inputs(asked: Mapping[str, Json]) -> dict[str, Json]:
    messages = items(asked, "messages")
    if messages:
        tools = items(asked, "tools")
        found = {"messages": [message(as_object(m)) for m in messages]}
        return found | ({"tools": tools} if tools else {})
    if asked.get("prompt"):
        return fields(asked["prompt"], "input")
    raise RejectedError("request.messages", "must hold at least one message, got none")


def _outputs(answered: Mapping[str, Json]) -> dict[str, Json]:
    """Returns the first choice; the others stand in ``raw``."""
    choices = items(answered, "choices")
    if not choices:
        raise RejectedError("response.choices", "must hold at least one choice, got none")
    choice = as_object(choices[0])
    if choice.get("message") is None:
        return fields(choice.get("text"), "output")
    said = as_object(choice["message"])
    return answer([{k: v for k, v in said.items() if v is not None}])


def _error(answered: Mapping[str, Json]) -> str | None:
    error = answered.get("error")
    if error is None or isinstance(error, str):
        return error or None
    return first_text(loose(error), "message", "code", "type") or "failed"


IMPORTER = NvidiaImporter()
