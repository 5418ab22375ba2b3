"""TensorZero: inferences, model inferences and feedback, as its tables and its API hold them.

The time of an event is in its id (a UUID of version 7); ``timestamp`` counts where it is not. An
episode is a session. Feedback on an episode names the episode as its request, because its table
does not say which of the two it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

from upturn.events import EPOCH, Feedback, Request, Role
from upturn.events.problems import found
from upturn.importers._chat import plain
from upturn.importers._judged import Voice, is_page, judged
from upturn.importers._reading import Outcome, each, first_text, labels, loose, tokens
from upturn.importers.base import RejectedError
from upturn.importers.fields import (
    decoded,
    fields,
    optional_amount,
    optional_number,
    optional_text,
    optional_time,
    salvage,
    text,
)
from upturn.records import Json

_INFERENCE = frozenset({"function_name", "variant_name", "episode_id"})
_MODEL = frozenset({"inference_id", "model_name", "model_provider_name"})
_USER = ("user_id", "user")
_PAGE = "inferences"


class TensorZeroImporter:
    """Reads rows of ChatInference, JsonInference, ModelInference and the four feedback tables.

    Tags name the user (``user_id`` or ``user``), a reviewer in the UI
    (``tensorzero::human_feedback``) or a judge (``tensorzero::evaluator_inference_id``). Feedback
    without them is held to be of the application's user.
    """

    name: ClassVar[str] = "tensorzero"
    title: ClassVar[str] = "TensorZero"

    def recognises(self, record: Mapping[str, Json]) -> bool:
        """Whether a record has the keys of one of the tables, or is a page of such rows."""
        return bool(_kind(record)) or is_page(record, _PAGE, lambda row: bool(_kind(row)))

    def events(self, record: Mapping[str, Json]) -> Iterable[Outcome]:
        """Returns the event of a row, or of each row of a page."""
        if not _kind(record) and isinstance(record.get(_PAGE), list):
            return each(record, _PAGE, self.events)
        return salvage([lambda: _event(record)])


def _kind(row: Mapping[str, Json]) -> str:
    """Returns what a row is; "" where it is none of ours."""
    keys = row.keys()
    if keys >= _INFERENCE:
        return "inference"
    if keys >= _MODEL:
        return "model"
    if "target_id" in keys and "value" in keys:
        return "metric" if "metric_name" in keys else "comment"
    return "demonstration" if {"id", "inference_id", "value"} <= keys else ""


def _event(row: Mapping[str, Json]) -> Iterator[Request | Feedback]:
    kind = _kind(row)
    if kind == "inference":
        yield _inference(row)
    elif kind == "model":
        yield _model_inference(row)
    elif kind:
        yield from _feedback(row, kind)
    else:
        raise RejectedError(
            "", f"must be a row of a table of ours, got keys {found(sorted(row)[:8])}"
        )


def _inference(row: Mapping[str, Json]) -> Request:
    # Its API calls the id ``inference_id``.
    key = "id" if "id" in row else "inference_id"
    tags = loose(row.get("tags"))
    return Request(
        id=text(row, key),
        time=_time(row, key),
        program=text(row, "function_name"),
        inputs=fields(row.get("input"), "input"),
        outputs=_answer(row.get("output")),
        user=first_text(tags, *_USER),
        version=optional_text(row, "variant_name"),
        session=optional_text(row, "episode_id"),
        latency_ms=optional_amount(row, "processing_time_ms"),
        slices=labels({k: v for k, v in tags.items() if k not in _USER and "::" not in k}, None),
        origin=TensorZeroImporter.name,
        raw=row,
    )


def _model_inference(row: Mapping[str, Json]) -> Request:
    inputs = {
        "system": row.get("system"),
        "messages": decoded(row.get("input_messages")),
    }
    return Request(
        id=text(row, "id"),
        time=_time(row, "id"),
        program=text(row, "model_name"),
        inputs={k: v for k, v in inputs.items() if v is not None},
        outputs=_answer(row.get("output")),
        model=text(row, "model_name"),
        parent=text(row, "inference_id"),
        latency_ms=optional_amount(row, "response_time_ms"),
        usage=tokens({k: row.get(k) for k in ("input_tokens", "output_tokens")}),
        origin=TensorZeroImporter.name,
        raw=row,
    )


def _feedback(row: Mapping[str, Json], kind: str) -> Iterator[Feedback]:
    key = "inference_id" if kind == "demonstration" else "target_id"
    rater, role = _who(loose(row.get("tags")))
    voice = Voice(
        origin=TensorZeroImporter.name,
        request_id=text(row, key),
        rater=rater,
        role=role,
        raw=row,
        time=_time(row, "id"),
    )
    identity = text(row, "id")
    value = row["value"]
    if kind == "metric":
        yield from _metric(voice, text(row, "metric_name"), value, identity)
    elif kind == "comment":
        yield voice.comments(text(row, "value"), id=identity)
    else:
        yield voice.corrects(_answer(value), id=identity)


def _metric(voice: Voice, name: str, value: Json, identity: str) -> Iterator[Feedback]:
    if isinstance(value, str):  # CSV has nothing but texts
        value = {"true": True, "false": False}.get(value.lower(), value)
    if isinstance(value, str):
        value = optional_number({"value": value}, "value")
    if not isinstance(value, bool | int | float):
        raise RejectedError("value", f"must be true, false or a number, got {found(value)}")
    yield from judged(voice, name, value, id=identity)


def _who(tags: Mapping[str, Json]) -> tuple[str, Role]:
    if tags.get("tensorzero::evaluator_inference_id"):
        name = first_text(tags, "tensorzero::evaluator_name", "tensorzero::evaluation_name")
        return name or "tensorzero:evaluator", Role.JUDGE
    user = first_text(tags, *_USER)
    if tags.get("tensorzero::human_feedback"):
        return user or "tensorzero:ui", Role.REVIEWER
    return user or "tensorzero:api", Role.CUSTOMER


def _answer(value: Json) -> dict[str, Json]:
    """Returns an answer as fields: the text of its blocks, or what its JSON says."""
    value = decoded(value)
    if isinstance(value, dict) and "raw" in value and value.keys() <= {"raw", "parsed"}:
        value = value["raw"] if value.get("parsed") is None else value["parsed"]
    words = plain(value) if isinstance(value, list) else None
    return fields(value if words is None else words, "output")


def _time(row: Mapping[str, Json], key: str) -> str:
    """Returns the time in a UUID of version 7 (its first 48 bits are milliseconds)."""
    try:
        identity = UUID(str(row.get(key)))
    except ValueError:
        identity = None
    if identity is None or identity.version != 7:
        return optional_time(row, "timestamp") or EPOCH
    try:
        return datetime.fromtimestamp((identity.int >> 80) / 1000, UTC).isoformat()
    except (ValueError, OverflowError):
        raise RejectedError(key, f"must hold a time, got {found(row.get(key))}") from None


IMPORTER = TensorZeroImporter()
