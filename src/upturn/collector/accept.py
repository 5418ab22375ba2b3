"""From values to events: checked, scrubbed, and within the sender's programs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from upturn.collector.limits import Limits
from upturn.collector.parse import Unreadable
from upturn.errors import DataError
from upturn.events import Event, Feedback, Problems
from upturn.events.checks import LineCheck, check_feedback, check_kind, check_request
from upturn.events.lines import Line
from upturn.events.problems import found
from upturn.events.records import FORMAT
from upturn.records import Json

Scrub = Callable[[Event], Event]
Clock = Callable[[], datetime]

_TEXTS = ("id", "request_id", "program", "user", "session", "parent", "rater", "version", "model")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Why one event of a body is not taken; ``status`` is what it would get alone."""

    index: int
    field: str
    rule: str
    status: int = 422

    def to_json(self) -> dict[str, Json]:
        return {"index": self.index, "field": self.field, "rule": self.rule}


@dataclass(kw_only=True, slots=True)
class Batch:
    """What became of the events of one body before the store is asked.

    Attributes:
        events: index in the body, event; ids are unique by kind.
        faults: what is not taken.
        programs: the programs of the sender; None is all.
        size: how many events the body held, good and bad.
    """

    events: list[tuple[int, Event]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    programs: frozenset[str] | None = None
    size: int = 0


class _IndexProblems(Problems):
    """Keeps what is wrong by index instead of by file and line."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__()
        self._faults = faults

    def add(self, file: str, line: int, field: str, rule: str) -> None:
        self._faults.append(Fault(index=line, field=field, rule=rule))


class Acceptance:
    """Checks what senders send. Has no state; used by several threads.

    Args:
        limits: what an event may hold at most.
        scrub: takes out what must not be stored; runs before anything is kept, in several threads
            at once; a ``DataError`` refuses one event.
        clock: the time in UTC: events of the future are refused.
    """

    def __init__(self, limits: Limits, scrub: Scrub, clock: Clock) -> None:
        self._limits = limits
        self._scrub = scrub
        self._clock = clock

    def native(
        self, kind: str, values: Sequence[Json | Unreadable], programs: frozenset[str] | None
    ) -> Batch:
        """Returns the batch of native events of one kind (``"request"`` or ``"feedback"``)."""
        batch, now = Batch(programs=programs, size=len(values)), self._clock()
        problems = _IndexProblems(batch.faults)
        seen: dict[str, Event] = {}
        for index, value in enumerate(values):
            if isinstance(value, dict):
                line = Line(file="", number=index, value=_with_kind(value, kind), text="")
                event = _read(LineCheck(line, problems, now), kind)
                if event is not None:
                    self._take(batch, seen, index, event)
            else:
                is_text = isinstance(value, Unreadable)
                rule = value.rule if is_text else f"must be a JSON object, got {found(value)}"
                batch.faults.append(Fault(index=index, field="", rule=rule))
        return batch

    def imported(
        self, events: Sequence[tuple[int, Event]], programs: frozenset[str] | None
    ) -> Batch:
        """Returns the batch of events that an importer has read."""
        batch = Batch(programs=programs, size=len(events))
        seen: dict[str, Event] = {}
        for index, event in events:
            self._take(batch, seen, index, event)
        return batch

    def _take(self, batch: Batch, seen: dict[str, Event], index: int, event: Event) -> None:
        try:
            event = self._scrub(event)
        except DataError as error:
            batch.faults.append(Fault(index=index, field="", rule=error.what))
            return
        key = f"{type(event).__name__} {event.id}"
        fault = self._too_long(index, event) or self._outside(index, event, batch.programs)
        if fault is None and seen.get(key, event) != event:
            rule = f"must name one event, but {found(event.id)} names another in this body"
            fault = Fault(index=index, field="id", rule=rule, status=409)
        if fault is not None:
            batch.faults.append(fault)
            return
        event = _in_program(event, batch.programs)
        seen[key] = event
        batch.events.append((index, event))

    def _too_long(self, index: int, event: Event) -> Fault | None:
        for name in _TEXTS:
            value = getattr(event, name, None)
            if value is not None and len(value) > self._limits.text_chars:
                rule = f"must have at most {self._limits.text_chars} characters, got {len(value)}"
                return Fault(index=index, field=name, rule=rule)
        return None

    def _outside(self, index: int, event: Event, programs: frozenset[str] | None) -> Fault | None:
        if programs is None or event.program is None or event.program in programs:
            return None
        return outside(index, event.program, programs)


def in_each_thread(make: Callable[[], Scrub]) -> Scrub:
    """Returns a scrubbing for any thread, of one that each thread must have for itself."""
    local = threading.local()

    def scrub(event: Event) -> Event:
        own: Scrub | None = getattr(local, "scrub", None)
        if own is None:
            own = local.scrub = make()
        return own(event)

    return scrub


def outside(index: int, program: str, programs: frozenset[str]) -> Fault:
    """Returns the fault of an event that speaks of a program outside the sender's."""
    names = ", ".join(sorted(programs))
    rule = f"must be one of the token's programs ({names}), got {found(program)}"
    return Fault(index=index, field="program", rule=rule, status=403)


def _in_program(event: Event, programs: frozenset[str] | None) -> Event:
    """Says the program of feedback that does not, where the sender has only one."""
    if isinstance(event, Feedback) and event.program is None and programs and len(programs) == 1:
        return replace(event, program=next(iter(programs)))
    return event


def _with_kind(value: Mapping[str, Json], kind: str) -> dict[str, Json]:
    """Returns a line with the two keys that the path says already, where they are absent."""
    return {"upturn": FORMAT, "kind": kind, **value}


def _read(check: LineCheck, kind: str) -> Event | None:
    said = check_kind(check)
    if said and said != kind:
        check.fail("kind", f"must be {kind!r} on this path, got {found(said)}")
    if not check.ok:
        return None
    return check_request(check) if kind == "request" else check_feedback(check)
