"""What a log holds: requests, feedback about them, and the fields both must speak of.

Records only; reading and checking them is :mod:`upturn.feedback.native`. Times are ISO 8601 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from upturn.records import Json

FORMAT = 1  # the version of the native format that this package reads and writes


class Signal(StrEnum):
    """What somebody, or the system, let us know about an answer."""

    CORRECTION = "correction"  # explicit: these values are right
    THUMBS = "thumbs"  # explicit: the answer as a whole is good, or is not
    EDIT = "edit"  # implicit: these values finally stood in the system
    KEPT = "kept"  # implicit: nobody changed the answer until the matter was closed
    REOPENED = "reopened"  # implicit: the matter had to be opened again


class Role(StrEnum):
    """Who gives feedback."""

    AGENT = "agent"
    CUSTOMER = "customer"
    REVIEWER = "reviewer"
    SYSTEM = "system"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One answer that the program gave in production.

    Attributes:
        id: unique within a log.
        time: when it was asked (ISO 8601, UTC).
        program: the program that answered.
        inputs: input field -> value.
        outputs: output field -> answer; empty where ``error`` is set.
        user: whose request it was; None where nobody knows. Rows of one user stay together.
        version, model, session: what answered, and in which conversation.
        latency_ms, usage, cost_usd: what it took (milliseconds, tokens by kind, US dollars).
        error: why there is no answer, or None.
        slices: slice name -> value, for guards and reports.
    """

    id: str
    time: str
    program: str
    inputs: Mapping[str, Json]
    outputs: Mapping[str, Json]
    user: str | None = None
    version: str | None = None
    model: str | None = None
    session: str | None = None
    latency_ms: float | None = None
    usage: Mapping[str, int] | None = None
    cost_usd: float | None = None
    error: str | None = None
    slices: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        return {"upturn": FORMAT, "kind": "request", **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """One thing that was learned about one request.

    Attributes:
        id: unique within a log.
        request_id: the request it speaks of.
        time: when it was given (ISO 8601, UTC).
        signal: its kind.
        value: correction, edit: output field -> value; thumbs: bool; kept, reopened: True.
        rater: id of who gave it; role: what they are.
        comment: free text, or None.
    """

    id: str
    request_id: str
    time: str
    signal: Signal
    value: Json
    rater: str
    role: Role
    comment: str | None = None

    def to_json(self) -> dict[str, Json]:
        return {
            "upturn": FORMAT,
            "kind": "feedback",
            "id": self.id,
            "request_id": self.request_id,
            "time": self.time,
            "signal": str(self.signal),
            "value": self.value,
            "by": {"id": self.rater, "role": str(self.role)},
            "comment": self.comment,
        }


@dataclass(frozen=True, kw_only=True)
class FieldRules:
    """The fields of a program, as its log must name them.

    Attributes:
        inputs: input fields.
        outputs: output field -> its allowed labels, or None where the text is free.
    """

    inputs: tuple[str, ...]
    outputs: Mapping[str, tuple[str, ...] | None]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file that was read: its path as given, the sha256 of its text, and its lines."""

    path: str
    sha256: str
    lines: int

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Log:
    """A checked log. The order of its lines and files leaves no trace in it.

    Attributes:
        requests: sorted by id.
        feedback: sorted by id; each speaks of one of ``requests``.
        orphans: feedback whose request is not in the log, kept aside.
        duplicates: lines that repeated an event word for word.
        other_programs: events of programs that were not asked for.
        sources: the files, in the order they were given.
    """

    requests: tuple[Request, ...]
    feedback: tuple[Feedback, ...]
    orphans: tuple[Feedback, ...] = ()
    duplicates: int = 0
    other_programs: int = 0
    sources: tuple[Source, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many events were read, and what became of the others."""
        return {
            "requests": len(self.requests),
            "feedback": len(self.feedback),
            "feedback_without_request": len(self.orphans),
            "repeated_lines": self.duplicates,
            "other_programs": self.other_programs,
        }
