"""Scores of Langfuse, whose keys were made ``snake_case``, as feedback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from upturn.events import Feedback, Role, Signal
from upturn.events.problems import found, one_of
from upturn.importers._reading import first_text, loose
from upturn.importers.base import RejectedError
from upturn.importers.fields import fields, iso_time, number, optional_text, text
from upturn.records import Json

_ROLES = {"API": Role.CUSTOMER, "ANNOTATION": Role.REVIEWER, "EVAL": Role.JUDGE}
_TYPES = ("NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION")


def score(r: Mapping[str, Json], raw: Mapping[str, Json]) -> Iterator[Feedback]:
    """Yields the one feedback that a score is."""
    source = optional_text(r, "source") or "API"
    role = _ROLES.get(source)
    if role is None:
        raise RejectedError("source", one_of(_ROLES, source))
    signal, value, comment = _said(r)
    yield Feedback(
        id=text(r, "id"),
        request_id=_about(r),
        time=iso_time(r.get("timestamp"), "timestamp"),
        signal=signal,
        value=value,
        rater=_rater(r, source),
        role=role,
        comment=comment,
        name=text(r, "name"),
        origin="langfuse",
        raw=raw,
    )


def _about(r: Mapping[str, Json]) -> str:
    about = optional_text(r, "observation_id") or optional_text(r, "trace_id")
    if about:
        return about
    kind = "session_id" if r.get("session_id") else "dataset_run_id"
    raise RejectedError(
        "trace_id", f"must name the trace that was scored, got a score of {kind} {r.get(kind)!r}"
    )


def _rater(r: Mapping[str, Json], source: str) -> str:
    author = optional_text(r, "author_user_id")
    if author is None and source == "API":
        author = first_text(loose(r.get("trace")), "userId", "user_id")
    return author or f"langfuse:{source}"


def _said(r: Mapping[str, Json]) -> tuple[Signal, Json, str | None]:
    """Returns signal, value and comment of a score, by its type."""
    kind, comment = r.get("data_type"), optional_text(r, "comment")
    if kind == "NUMERIC":
        return Signal.SCORE, number(r.get("value"), "value"), comment
    if kind == "BOOLEAN":
        return Signal.THUMBS, _boolean(r), comment
    if kind == "CATEGORICAL":
        return Signal.CATEGORY, _words(r), comment
    if kind == "TEXT":
        # Beside its text such a score may carry a comment; both are what somebody wrote.
        return Signal.COMMENT, None, "\n".join(filter(None, (_words(r), comment)))
    if kind == "CORRECTION":
        return Signal.CORRECTION, _correction(r), comment
    raise RejectedError("data_type", one_of(_TYPES, kind))


def _boolean(r: Mapping[str, Json]) -> bool:
    value = r.get("value")
    if value is None or value == "":
        value = r.get("string_value")
    answer = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}.get(
        str(value).lower()
    )
    if answer is None:
        raise RejectedError("value", f"must be 0 or 1, got {found(value)}")
    return answer


def _words(r: Mapping[str, Json]) -> str:
    words = first_text(r, "string_value", "long_string_value", "value")
    if words is None:
        raise RejectedError(
            "string_value", f"must be a non-empty text, got {found(r.get('string_value'))}"
        )
    return words


def _correction(r: Mapping[str, Json]) -> dict[str, Json]:
    """The right output is a text; ``value`` beside it is a placeholder 0, unless it is a text."""
    right = first_text(r, "long_string_value", "string_value") or r.get("value")
    if right is None or right == "" or right == 0 or right == "0":
        raise RejectedError(
            "string_value", f"must hold the right output, got {found(r.get('string_value'))}"
        )
    return fields(right, "output")
