"""How sources are taken in: what is the same for all sources of one ingest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from upturn.events import Event
from upturn.ingest.limits import DEFAULT, Limits
from upturn.ingest.report import Progress


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What seldom differs from one ingest to another.

    Attributes:
        scrub_text: takes personal items out of the sentences in the file of rejects.
        resume: whether to go on where an earlier run was broken off.
        clock: the time now, with zone: events more than 24 hours later are rejected.
        limits: caps on what a source may hold.
    """

    scrub_text: Callable[[str], str] = lambda text: text
    resume: bool = True
    clock: Callable[[], datetime] = _now
    limits: Limits = DEFAULT


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The arguments of :func:`upturn.ingest.ingest`, and how many sources there are."""

    scrub: Callable[[Event], Event]
    rejects: Path
    importer: str | None
    progress: Callable[[Progress], None]
    options: Options
    sources: int
