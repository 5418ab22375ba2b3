"""What production tells: requests, feedback about them, and the fields both must speak of.

Records only; :mod:`upturn.events.checks` checks them. Times are ISO 8601 in UTC, always written
the same way (``datetime.isoformat()`` of an aware UTC time), so that they sort as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from upturn.records import Json

FORMAT = 1  # the version of the native format that this package reads and writes
#: The time of an event whose format has none: older than everything, and always the same, so that
#: importing a file twice stays one import.
EPOCH = "1970-01-01T00:00:00+00:00"


class Signal(StrEnum):
    """What somebody, or the system, let us know about an answer; the comment gives the value."""

    # Explicit: somebody judged.
    CORRECTION = "correction"  # {output field: right value}, any subset
    THUMBS = "thumbs"  # bool: the answer as a whole is good, or is not
    STARS = "stars"  # number from 1 (worst) to 5 (best)
    CHOSEN = "chosen"  # {"chosen": {field: value}, "rejected": [{field: value}, ...]}
    VERDICT = "verdict"  # bool, or {output field: bool}: a reviewer says what is right
    SCORE = "score"  # number on a scale of its own; ``name`` says which
    CATEGORY = "category"  # text from a set of its own; ``name`` says which
    COMMENT = "comment"  # None: the comment is all there is
    # Implicit: somebody, or the system, did something.
    EDIT = "edit"  # {output field: the value that finally stood}
    KEPT = "kept"  # True: nobody changed the answer until the matter was closed
    RETAINED = "retained"  # number >= 0: minutes after which the answer still stood
    COPY = "copy"  # True: the answer was copied
    RETRY = "retry"  # True: the same was asked again
    REPHRASE = "rephrase"  # True: the same was asked in other words
    ABANDON = "abandon"  # True: the conversation was left
    ESCALATED = "escalated"  # True: a person had to take over
    RESOLVED = "resolved"  # bool: the matter was solved, or was not
    REOPENED = "reopened"  # True: the matter had to be opened again
    DWELL = "dwell"  # number >= 0: seconds spent on the answer


class Role(StrEnum):
    """Who gives feedback."""

    AGENT = "agent"
    CUSTOMER = "customer"
    REVIEWER = "reviewer"
    SYSTEM = "system"  # a program's own signal, or a check by code
    JUDGE = "judge"  # a language model


class Purpose(StrEnum):
    """What whoever caused an event agreed to."""

    TRAIN = "train"
    EVALUATE = "evaluate"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One answer that the program gave in production.

    Attributes:
        id: unique among requests.
        time: when it was asked (ISO 8601, UTC).
        program: the program that answered.
        inputs: input field -> value.
        outputs: output field -> answer; empty where ``error`` is set.
        user: whose request it was; None where nobody knows. Rows of one user stay together.
        version, model, session: what answered, and in which conversation.
        parent: id of the request that this one is a step of, or None.
        latency_ms, usage, cost_usd: what it took (milliseconds, tokens by kind, US dollars).
        error: why there is no answer, or None.
        slices: slice name -> value, for guards and reports.
        consent: the purposes that were agreed to; None where nothing was stated.
        origin: name of the format that it was imported from; "" for our own.
        raw: the foreign record as it came, less what privacy rules took out; None for our own.
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
    parent: str | None = None
    latency_ms: float | None = None
    usage: Mapping[str, int] | None = None
    cost_usd: float | None = None
    error: str | None = None
    slices: Mapping[str, str] = field(default_factory=dict)
    consent: tuple[Purpose, ...] | None = None
    origin: str = ""
    raw: Json = None

    def to_json(self) -> dict[str, Json]:
        """Returns the native line, which holds neither ``origin`` nor ``raw``."""
        line: dict[str, Json] = {"upturn": FORMAT, "kind": "request"}
        line |= {name: getattr(self, name) for name in _REQUEST_KEYS}
        return line | _said(self, ("parent", "consent"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """One thing that was learned about one request.

    Attributes:
        id: unique among feedback.
        request_id: the request it speaks of, which may come later, or never.
        time: when it was given (ISO 8601, UTC).
        signal: its kind; value: as :class:`Signal` says.
        rater: id of who gave it; role: what they are.
        comment: free text, or None.
        name: what a score or category measures, such as ``"helpfulness"``; elsewhere what the
            sender calls the signal, or None.
        program: the program it is about, where the sender says so.
        consent, origin, raw: as of :class:`Request`.
    """

    id: str
    request_id: str
    time: str
    signal: Signal
    value: Json
    rater: str
    role: Role
    comment: str | None = None
    name: str | None = None
    program: str | None = None
    consent: tuple[Purpose, ...] | None = None
    origin: str = ""
    raw: Json = None

    def to_json(self) -> dict[str, Json]:
        """Returns the native line, which holds neither ``origin`` nor ``raw``."""
        line: dict[str, Json] = {
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
        return line | _said(self, ("name", "program", "consent"))


Event = Request | Feedback

_REQUEST_KEYS = (
    *("id", "time", "program", "inputs", "outputs", "user", "version", "model", "session"),
    *("latency_ms", "usage", "cost_usd", "error", "slices"),
)


def _said(event: Event, names: tuple[str, ...]) -> dict[str, Json]:
    """Returns the keys that are written only where they say something: older files keep their
    bytes."""
    values = {name: getattr(event, name) for name in names}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items() if v is not None}


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
