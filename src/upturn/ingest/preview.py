"""Shows what the first records of a source would become, without a store."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from upturn.events import Event
from upturn.importers import Rejection
from upturn.ingest.batches import Reading
from upturn.ingest.feeds import feed_names, open_feed
from upturn.ingest.formats import importer_named, recognised
from upturn.ingest.options import Options
from upturn.ingest.rejects import Refusal
from upturn.ingest.source import Record
from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class Previewed:
    """One record, and what it would become.

    Attributes:
        record, line: its number, and where it begins; 1 is the first.
        events: scrubbed, as they would be stored; refusals: what gives no event.
    """

    record: int
    line: int
    events: tuple[Event, ...]
    refusals: tuple[Refusal, ...]

    def to_json(self) -> dict[str, Json]:
        """Returns it as JSON, each event as a native line."""
        return {
            "record": self.record,
            "line": self.line,
            "events": [e.to_json() for e in self.events],
            "rejected": [{"field": r.field, "reason": r.reason} for r in self.refusals],
        }


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The first records of one source. ``format`` is the importer's name, "" where none fits."""

    source: str
    format: str
    records: tuple[Previewed, ...]

    def to_json(self) -> dict[str, Json]:
        """Returns it as JSON."""
        shown = [r.to_json() for r in self.records]
        return {"source": self.source, "format": self.format, "records": shown}


def preview(
    path: str,
    *,
    scrub: Callable[[Event], Event],
    records: int = 5,
    importer: str | None = None,
    options: Options | None = None,
) -> Preview:
    """Returns what the first records of a source, or of the first file of a folder, would become.

    Raises:
        DataError, ConfigError, StorageError: as :func:`upturn.ingest.ingest` does.
    """
    options = options or Options()
    with open_feed(feed_names([path])[0], options.limits) as feed:
        found, rows = None, feed.records(0)
        if named := importer or feed.format:
            found = importer_named(named)
        else:
            found, rows = recognised(rows, where=feed.name)
        reading = Reading(
            importer=found, scrub=scrub, scrub_text=options.scrub_text, clock=options.clock
        )
        shown = tuple(_previewed(reading, row) for row in itertools.islice(rows, records))
        return Preview(source=feed.name, format=found.name if found else "", records=shown)


def _previewed(reading: Reading, record: Record) -> Previewed:
    events: list[Event] = []
    refusals: list[Refusal] = []
    horizon = reading.horizon()
    for part in reading.parts(record):
        made = part if isinstance(part, Rejection) else reading.checked(part, horizon)
        if isinstance(made, Rejection):
            refusals.append(reading.refusal(record, made))
        else:
            events.append(made)
    return Previewed(
        record=record.number, line=record.line, events=tuple(events), refusals=tuple(refusals)
    )
