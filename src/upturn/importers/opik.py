"""Opik: traces and spans with their feedback scores and comments, as its API and its CLI give them.

Scores of an object by several people come as one entry per author in ``value_by_author``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from upturn.events import EPOCH, Feedback, Request, Role
from upturn.events.problems import one_of
from upturn.importers._judged import Voice, is_page, judged, known_time, thumb_of, within, without
from upturn.importers._reading import (
    Outcome,
    as_object,
    each,
    first_text,
    labels,
    loose,
    tokens,
)
from upturn.importers.base import RejectedError
from upturn.importers.fields import (
    fields,
    mapping,
    milliseconds,
    number,
    optional_amount,
    optional_text,
    optional_time,
    salvage,
    text,
)
from upturn.records import Json

_OURS = ("feedback_scores", "thread_id", "last_updated_by", "error_info", "span_count")
_ROLES = {"ui": Role.REVIEWER, "sdk": Role.CUSTOMER, "online_scoring": Role.JUDGE}
_USER = ("user_id", "user")
_PAGE = "content"


class OpikImporter:
    """Reads traces and spans: rows, pages of the API, and the CLI's ``{"trace", "spans"}`` files.

    A score given in the UI is a reviewer's, one sent by the SDK the application's user's, one of
    an online rule a judge's. A category of thumbs is a thumb.
    """

    name: ClassVar[str] = "opik"
    title: ClassVar[str] = "Opik"

    def recognises(self, record: Mapping[str, Json]) -> bool:
        """Whether a record is a trace, a span, a page of them, or a file of the CLI."""
        trace = record.get("trace")
        if isinstance(trace, dict) and isinstance(record.get("spans"), list):
            return _is_ours(trace)
        return _is_ours(record) or is_page(record, _PAGE, _is_ours)

    def events(self, record: Mapping[str, Json]) -> Iterable[Outcome]:
        """Returns the requests and feedback of a trace and its spans, or of a page of them."""
        trace = record.get("trace")
        if isinstance(trace, dict):
            return salvage(
                [
                    lambda: within("trace", lambda: _object(trace, None)),
                    lambda: _spans(record, optional_text(trace, "id")),
                ]
            )
        if not _is_ours(record) and isinstance(record.get(_PAGE), list):
            return each(record, _PAGE, self.events)
        return salvage([lambda: _object(record, None)])


def _is_ours(row: Mapping[str, Json]) -> bool:
    return "start_time" in row and "project_id" in row and any(key in row for key in _OURS)


def _object(row: Mapping[str, Json], trace: str | None) -> Iterator[Outcome]:
    identity, time = text(row, "id"), known_time(row, "end_time", "start_time")
    parts: list[Callable[[], Iterable[Outcome]]] = [
        lambda: [_request(row, identity, trace)],
        lambda: each(row, "feedback_scores", lambda score: _score(score, identity, time)),
        lambda: each(row, "comments", lambda comment: [_comment(comment, identity, time)]),
        lambda: _spans(row, identity),
    ]
    yield from salvage(parts)


def _spans(record: Mapping[str, Json], trace: str | None) -> Iterator[Outcome]:
    return each(record, "spans", lambda span: _object(span, trace))


def _request(row: Mapping[str, Json], identity: str, trace: str | None) -> Request:
    start, end = optional_time(row, "start_time"), optional_time(row, "end_time")
    metadata = loose(row.get("metadata"))
    error = _error(loose(row.get("error_info")))
    duration = optional_amount(row, "duration")
    return Request(
        id=identity,
        time=start or EPOCH,
        program=optional_text(row, "name", "project_name") or OpikImporter.name,
        inputs=fields(row.get("input"), "input"),
        outputs={} if error else fields(row.get("output"), "output"),
        user=first_text(metadata, *_USER),
        model=optional_text(row, "model"),
        session=optional_text(row, "thread_id"),
        parent=optional_text(row, "parent_span_id", "trace_id") or trace,
        latency_ms=milliseconds(start, end) if duration is None else duration,
        usage=tokens(loose(row.get("usage"))),
        cost_usd=optional_amount(row, "total_estimated_cost"),
        error=error,
        slices=labels(without(metadata, *_USER), row.get("tags")),
        origin=OpikImporter.name,
        raw=row,
    )


def _error(info: Mapping[str, Json]) -> str | None:
    parts = (first_text(info, "exception_type"), first_text(info, "message"))
    return ": ".join(p for p in parts if p) or ("failed" if info else None)


def _score(score: Mapping[str, Json], target: str, time: str | None) -> Iterator[Outcome]:
    authors = mapping(score, "value_by_author")
    time = optional_time(score, "last_updated_at", "created_at") or time
    voice = Voice(
        origin=OpikImporter.name,
        request_id=target,
        rater=optional_text(score, "created_by") or "",
        role=Role.CUSTOMER,
        raw=score,
        time=time,
    )
    if not authors:
        yield from _one_score(voice, score, score)
    for author, entry in authors.items():
        yield from within(
            f"value_by_author.{author}",
            lambda e=entry, a=author: _one_score(replace(voice, rater=a), score, as_object(e)),
        )


def _one_score(
    voice: Voice, score: Mapping[str, Json], entry: Mapping[str, Json]
) -> Iterator[Feedback]:
    """Yields what one author said; ``entry`` is theirs, ``score`` holds what all share."""
    name = text(score, "name")
    source = optional_text(entry, "source") or optional_text(score, "source") or "sdk"
    if source not in _ROLES:
        raise RejectedError("source", one_of(_ROLES, source))
    voice = replace(
        voice,
        rater=voice.rater or f"{OpikImporter.name}:{source}",
        role=_ROLES[source],
        time=optional_time(entry, "last_updated_at", "created_at") or voice.time,
        comment=optional_text(entry, "reason"),
    )
    value = number(entry.get("value"), "value")
    category = optional_text(entry, "category_name")
    thumb = None if category is None else thumb_of(category)
    if thumb is None:
        yield from judged(voice, name, value if category is None else [category])
    else:
        yield from judged(voice, name, thumb)


def _comment(comment: Mapping[str, Json], target: str, time: str | None) -> Feedback:
    voice = Voice(
        origin=OpikImporter.name,
        request_id=target,
        rater=optional_text(comment, "created_by") or f"{OpikImporter.name}:comment",
        role=Role.REVIEWER,
        raw=comment,
        time=optional_time(comment, "created_at") or time,
    )
    return voice.comments(text(comment, "text"), id=optional_text(comment, "id"))


IMPORTER = OpikImporter()
