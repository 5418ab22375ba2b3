"""Braintrust: events of project logs and experiments, and feedback items of its API.

A span's id is its ``span_id``, because parents are named by it; an event without one is a row, and
its ``id`` counts. A stated ``expected`` is a correction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import ClassVar

from upturn.events import EPOCH, Feedback, Request, Role
from upturn.importers._judged import Voice, is_page, judged, known_time, within, without
from upturn.importers._reading import Outcome, each, first_text, labels, loose, tokens
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
from upturn.records import Json, canonical_json

_SPAN = frozenset({"span_parents", "root_span_id", "_xact_id"})
_ROLES = {"external": Role.CUSTOMER, "app": Role.REVIEWER, "api": Role.SYSTEM}
_USER = ("user_id", "user")
_SESSION = ("session_id", "conversation_id", "thread_id")
_TOKENS = ("prompt_tokens", "completion_tokens", "prompt_cached_tokens")
_PAGE = "events"


class BraintrustImporter:
    """Reads events and feedback items, alone or in pages of the API.

    Who scored an event is told by its ``source``: ``external`` is the application's user, ``app``
    a reviewer, ``api`` a program. Scores without a source are a program's, a stated ``expected``
    without one is a reviewer's.
    """

    name: ClassVar[str] = "braintrust"
    title: ClassVar[str] = "Braintrust"

    def recognises(self, record: Mapping[str, Json]) -> bool:
        """Whether a record is an event, a feedback item, or a page of events."""
        return _is_ours(record) or is_page(record, _PAGE, _is_ours)

    def events(self, record: Mapping[str, Json]) -> Iterable[Outcome]:
        """Returns the request and the feedback of an event, or of each event of a page."""
        if not _is_ours(record) and isinstance(record.get(_PAGE), list):
            return each(record, _PAGE, self.events)
        return salvage([lambda: _row(record)])


def _is_ours(row: Mapping[str, Json]) -> bool:
    return _is_event(row) or _is_feedback(row)


def _is_event(row: Mapping[str, Json]) -> bool:
    scored = isinstance(row.get("scores"), dict) and "input" in row and "output" in row
    return "id" in row and (scored or any(key in row for key in _SPAN))


def _is_feedback(row: Mapping[str, Json]) -> bool:
    said = ("scores", "expected", "comment")
    keys = {"id", "metadata", "source", "tags", *said}
    return "id" in row and "source" in row and row.keys() <= keys and any(k in row for k in said)


def _row(row: Mapping[str, Json]) -> Iterator[Outcome]:
    identity = text(row, "span_id" if row.get("span_id") else "id")
    parts: list[Callable[[], Iterable[Outcome]]] = [
        lambda: _scores(row, _voice(row, identity, Role.SYSTEM)),
        lambda: _said(row, _voice(row, identity, Role.REVIEWER)),
    ]
    if not _is_feedback(row):
        parts.insert(0, lambda: [_request(row, identity)])
    yield from salvage(parts)


def _voice(row: Mapping[str, Json], identity: str, default: Role) -> Voice:
    source = first_text(row, "source", "_audit_source") or ""
    role = _ROLES.get(source, default)
    metadata = loose(row.get("metadata"))
    user = first_text(metadata, *_USER) if role is Role.CUSTOMER else None
    return Voice(
        origin=BraintrustImporter.name,
        request_id=identity,
        rater=user or f"{BraintrustImporter.name}:{source or 'event'}",
        role=role,
        raw=row,
        time=known_time(row, "created"),
    )


def _scores(row: Mapping[str, Json], voice: Voice) -> Iterator[Outcome]:
    for name, value in mapping(row, "scores").items():
        yield from within(f"scores.{name}", lambda n=name, v=value: judged(voice, n, v, field=""))


def _said(row: Mapping[str, Json], voice: Voice) -> Iterator[Feedback]:
    comment = row.get("comment")
    if row.get("expected") is not None:
        yield voice.corrects(row["expected"], field="expected")
    if isinstance(comment, dict):
        comment = text(comment, "text")
    if comment is not None:
        yield voice.comments(text({"comment": comment}, "comment"))


def _request(row: Mapping[str, Json], identity: str) -> Request:
    metadata, metrics = loose(row.get("metadata")), loose(row.get("metrics"))
    start, end = optional_time(metrics, "start"), optional_time(metrics, "end")
    error = row.get("error")
    parents = items(row, "span_parents")
    return Request(
        id=identity,
        time=start or optional_time(row, "created") or EPOCH,
        program=first_text(loose(row.get("span_attributes")), "name")
        or optional_text(row, "project_name", "project_id")
        or BraintrustImporter.name,
        inputs=fields(row.get("input"), "input"),
        outputs=fields(row.get("output"), "output") if error is None else {},
        user=first_text(metadata, *_USER),
        model=first_text(metadata, "model"),
        session=first_text(metadata, *_SESSION),
        parent=optional_text({"span_parents": parents[0]}, "span_parents") if parents else None,
        latency_ms=milliseconds(start, end),
        usage=tokens({k: metrics.get(k) for k in _TOKENS}),
        cost_usd=optional_amount(metrics, "estimated_cost", "cost"),
        error=error if error is None or isinstance(error, str) else canonical_json(error),
        slices=labels(without(metadata, *_USER, *_SESSION, "model"), row.get("tags")),
        origin=BraintrustImporter.name,
        raw=row,
    )


IMPORTER = BraintrustImporter()
