"""What an ingest answers with: counts that add up, per source and in all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from upturn.records import Json

#: Every event that was seen is in exactly one of these.
EVENT_COUNTS = ("requests", "feedback", "duplicates", "conflicts", "forgotten")
#: ``records`` of the source; ``rejected``: records and parts of records that gave no event;
#: ``empty``: records that hold none, as some formats have them.
COUNTS = ("records", *EVENT_COUNTS, "rejected", "empty")


@dataclass(frozen=True, kw_only=True)
class SourceReport:
    """What became of one source, over all tries at it.

    Attributes:
        source: the path as given.
        format: name of the importer; "" where no record could be read.
        counts: each of ``COUNTS``; of the whole source, also where this run went on with it.
        seconds: of this run.
        resumed_from: records that earlier runs had done; 0 for a fresh start.
        rejects: the file that lists rejections and conflicts; None where there are none.
    """

    source: str
    format: str
    counts: Mapping[str, int]
    seconds: float
    resumed_from: int
    rejects: str | None

    def to_json(self) -> dict[str, Json]:
        """Returns the report as JSON, its counts side by side."""
        return {
            "source": self.source,
            "format": self.format,
            **self.counts,
            "seconds": round(self.seconds, 3),
            "resumed_from": self.resumed_from,
            "rejects": self.rejects,
        }


@dataclass(frozen=True, kw_only=True)
class IngestReport:
    """What became of all sources of an ingest.

    ``requests + feedback + duplicates + conflicts + forgotten`` is the number of events seen.
    """

    sources: tuple[SourceReport, ...]
    seconds: float

    def count(self, name: str) -> int:
        """Returns the sum of one of ``COUNTS`` over the sources."""
        return sum(s.counts[name] for s in self.sources)

    @property
    def requests(self) -> int:
        """Requests that are new in the store."""
        return self.count("requests")

    @property
    def feedback(self) -> int:
        """Feedback that is new in the store."""
        return self.count("feedback")

    @property
    def duplicates(self) -> int:
        """Events that the store held already."""
        return self.count("duplicates")

    @property
    def conflicts(self) -> int:
        """Events whose id names another event; not stored."""
        return self.count("conflicts")

    @property
    def rejected(self) -> int:
        """Records, and parts of records, that gave no event."""
        return self.count("rejected")

    @property
    def forgotten(self) -> int:
        """Events that were forgotten before, or are older than the store keeps; not stored."""
        return self.count("forgotten")

    @property
    def records(self) -> int:
        """Records of the sources."""
        return self.count("records")

    @property
    def resumed_from(self) -> int:
        """Records that earlier, broken-off runs had done."""
        return sum(s.resumed_from for s in self.sources)

    @property
    def rejects(self) -> tuple[str, ...]:
        """The files that list rejections and conflicts."""
        return tuple(dict.fromkeys(s.rejects for s in self.sources if s.rejects))

    def to_json(self) -> dict[str, Json]:
        """Returns the answer of ``upturn ingest --json``: the five counts first."""
        first = ("requests", "feedback", "duplicates", "conflicts", "rejected")
        return {
            **{name: self.count(name) for name in first},
            "forgotten": self.forgotten,
            "records": self.records,
            "seconds": round(self.seconds, 3),
            "resumed_from": self.resumed_from,
            "rejects": list(self.rejects),
            "sources": [s.to_json() for s in self.sources],
        }


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an ingest is with one source.

    Attributes:
        source: the path as given; number: 1 is the first of ``sources``.
        records, events: done in this run, of this source.
        consumed, size: bytes of the file on disk that were read, and that it has; size is None
            where nobody knows.
        done: whether this source is finished.
    """

    source: str
    number: int
    sources: int
    records: int
    events: int
    consumed: int
    size: int | None
    done: bool = False
