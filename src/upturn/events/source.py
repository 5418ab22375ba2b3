"""Where events are read from: a store, or a log in memory; one way to ask either.

A reader that walks over many requests asks for ``joined`` (those that somebody spoke of) and for
``exposures`` (all of them, in short), so that nobody needs to hold a million requests at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from upturn.events.records import Feedback, Log, Request


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposure:
    """One request in short: that it was asked, and whether somebody spoke of it.

    Attributes:
        id, time, user, session, version, model, slices: as of :class:`Request`.
        has_feedback: whether any feedback speaks of it, at any time.
        error: whether there is no answer.
    """

    id: str
    time: str
    user: str | None = None
    session: str | None = None
    version: str | None = None
    model: str | None = None
    slices: Mapping[str, str] = field(default_factory=dict)
    has_feedback: bool = False
    error: bool = False


class EventSource(Protocol):
    """What can be asked of whatever holds events. Every answer is streamed, in the order of ids.

    ``program`` restricts an answer to one program's requests; None gives those of all programs.
    """

    def requests(self, *, program: str | None = None) -> Iterator[Request]:
        """Yields every request, by id."""
        ...

    def joined(
        self, *, program: str | None = None
    ) -> Iterator[tuple[Request, tuple[Feedback, ...]]]:
        """Yields each request that has feedback, by id, with that feedback by (time, id)."""
        ...

    def exposures(self, *, program: str | None = None) -> Iterator[Exposure]:
        """Yields every request in short, by id."""
        ...


class LogSource:
    """A log in memory as an event source.

    Args:
        log: from :func:`upturn.events.read_log`; its requests are sorted by id.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        spoken: dict[str, list[Feedback]] = {}
        for f in log.feedback:
            spoken.setdefault(f.request_id, []).append(f)
        self._spoken = {
            request_id: tuple(sorted(many, key=lambda f: (f.time, f.id)))
            for request_id, many in spoken.items()
        }

    def requests(self, *, program: str | None = None) -> Iterator[Request]:
        """Yields every request, by id."""
        return (r for r in self._log.requests if program in (None, r.program))

    def joined(
        self, *, program: str | None = None
    ) -> Iterator[tuple[Request, tuple[Feedback, ...]]]:
        """Yields each request that has feedback, by id, with that feedback by (time, id)."""
        for request in self.requests(program=program):
            if request.id in self._spoken:
                yield request, self._spoken[request.id]

    def exposures(self, *, program: str | None = None) -> Iterator[Exposure]:
        """Yields every request in short, by id."""
        for r in self.requests(program=program):
            yield Exposure(
                id=r.id,
                time=r.time,
                user=r.user,
                session=r.session,
                version=r.version,
                model=r.model,
                slices=r.slices,
                has_feedback=r.id in self._spoken,
                error=r.error is not None,
            )
