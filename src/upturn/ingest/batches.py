"""From records to batches of scrubbed events, and the refusals that belong to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from upturn.errors import DataError, UpturnError
from upturn.events import Event, Feedback
from upturn.events.checks import CLOCK_SKEW
from upturn.events.problems import found
from upturn.events.values import broken_value_rule
from upturn.importers import Importer, RejectedError, Rejection
from upturn.ingest.limits import MIB
from upturn.ingest.rejects import Refusal
from upturn.ingest.source import Record

#: Events and bytes of records after which a batch is stored: a commit costs about as much as 200
#: events, and what a batch holds is what memory holds.
EVENTS = 10_000
BYTES = 8 * MIB

#: What a defect of an importer raises; anything else is no fault of the record.
_DEFECTS = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError)


@dataclass(kw_only=True)
class Batch:
    """Some records on end, as events.

    Attributes:
        events: scrubbed, in the order of the source; lines: where each came from, as
            ``(line, record)``.
        refusals: what gave no event.
        records: how many; empty: those that gave neither event nor refusal, because their format
            has such records; position: number of the last one.
        consumed: bytes of the source's file that were read when the batch was full.
    """

    events: list[Event] = field(default_factory=list)
    lines: list[tuple[int, int]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    records: int = 0
    empty: int = 0
    position: int = 0
    consumed: int = 0
    bytes: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.events) >= EVENTS or len(self.refusals) >= EVENTS or self.bytes >= BYTES


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How records become events.

    Attributes:
        importer: the format's; None where no record of the source could be read.
        scrub: takes personal items out of an event; scrub_text: out of a sentence.
        clock: the time now, with zone.
    """

    importer: Importer | None
    scrub: Callable[[Event], Event]
    scrub_text: Callable[[str], str]
    clock: Callable[[], datetime]

    def batches(self, records: Iterable[Record], consumed: Callable[[], int]) -> Iterator[Batch]:
        """Yields batches; what one record gives is never spread over two.

        Where the source breaks, what was read before comes first, and then its error.
        """
        batch, horizon, reading = Batch(), self.horizon(), iter(records)
        while True:
            try:
                record = next(reading, None)
            except UpturnError:
                if batch.records:
                    yield self._ended(batch, consumed)
                raise
            if record is None:
                break
            self._take(batch, record, horizon)
            if batch.is_full:
                yield self._ended(batch, consumed)
                batch, horizon = Batch(position=batch.position), self.horizon()
        if batch.records:
            yield self._ended(batch, consumed)

    @staticmethod
    def _ended(batch: Batch, consumed: Callable[[], int]) -> Batch:
        batch.consumed = consumed()
        return batch

    def parts(self, record: Record) -> Iterator[Event | Rejection]:
        """Yields what one record gives: events, not yet scrubbed, and rejections."""
        if record.value is None or self.importer is None:
            yield Rejection("", record.rule)
            return
        try:
            yield from self.importer.events(record.value)
        except RejectedError as error:
            yield error.rejection
        except _DEFECTS as error:
            # One record that we cannot read must not keep all others out.
            name = type(self.importer).__name__
            what = f"{name} raised {type(error).__name__}, a defect of Upturn"
            yield Rejection("", f"must be readable, but {what}")

    def checked(self, event: Event, horizon: str) -> Event | Rejection:
        """Returns an event scrubbed, or the rule that it breaks."""
        if event.time > horizon:
            return Rejection("time", f"must not lie in the future, got {found(event.time)}")
        if isinstance(event, Feedback) and (rule := broken_value_rule(event)):
            return Rejection("value", rule)
        try:
            return self.scrub(event)
        except DataError as error:
            return Rejection("", error.what)

    def refusal(self, record: Record, rejection: Rejection) -> Refusal:
        """Returns a rejection as the file of rejects lists it."""
        said = (self.scrub_text(rejection.field), self.scrub_text(rejection.rule))
        return Refusal(record.line, record.number, *said)

    def horizon(self) -> str:
        """Returns the latest time that an event may have; times in UTC sort as texts."""
        return (self.clock().astimezone(UTC) + CLOCK_SKEW).isoformat()

    def _take(self, batch: Batch, record: Record, horizon: str) -> None:
        before = len(batch.events) + len(batch.refusals)
        for part in self.parts(record):
            made = part if isinstance(part, Rejection) else self.checked(part, horizon)
            if isinstance(made, Rejection):
                batch.refusals.append(self.refusal(record, made))
            else:
                batch.events.append(made)
                batch.lines.append((record.line, record.number))
        batch.records += 1
        batch.empty += before == len(batch.events) + len(batch.refusals)
        batch.position = record.number
        batch.bytes += record.size
