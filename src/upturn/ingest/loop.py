"""Takes sources into a store, one after the other, and keeps count over all tries at them."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from upturn.events import Event
from upturn.ingest.feeds import Feed, feed_names, open_feed
from upturn.ingest.formats import importer_named
from upturn.ingest.options import Options, Terms
from upturn.ingest.rejects import RejectFile
from upturn.ingest.report import IngestReport, Progress, SourceReport
from upturn.ingest.state import State
from upturn.ingest.taking import Taking
from upturn.store import FeedbackStore


def ingest(
    paths: Sequence[str | Path],
    store: FeedbackStore,
    *,
    scrub: Callable[[Event], Event],
    rejects: Path,
    importer: str | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    options: Options | None = None,
) -> IngestReport:
    """Takes sources into a store: each event once, in batches that are durable when counted.

    Memory does not grow with the sources. A run that is broken off, by whatever, goes on where it
    stopped when it is started again with the same sources, and its counts cover both. When all
    sources are finished that is forgotten: ingesting them again finds duplicates.

    Args:
        paths: files, folders, ``-`` for the standard input, ``mlflow:URI#EXPERIMENT``.
        scrub: takes personal items out of an event before it is stored.
        rejects: where rejections and conflicts are listed: one file for all sources where the
            name ends in ``.jsonl``, else a folder, which gets one file per source.
        importer: name of a format or ``map:FILE``; None recognises each source by itself.
        progress: is told after each batch.

    Raises:
        DataError: a source as a whole cannot be used; what stood before it is stored.
        ConfigError: a mapping breaks rules.
        StorageError: a source cannot be read, or store or file of rejects not be written; run the
            same again.
    """
    start = time.monotonic()
    names = feed_names([str(p) for p in paths])
    if importer is not None:
        importer_named(importer)  # an unknown one is an error before anything is written
    terms = Terms(
        scrub=scrub,
        rejects=rejects,
        importer=importer,
        progress=progress,
        options=options or Options(),
        sources=len(names),
    )
    run = _Run(store, terms)
    with run.shared_rejects():
        reports = [run.take(number, name) for number, name in enumerate(names, start=1)]
    run.forget_progress()
    return IngestReport(sources=tuple(reports), seconds=time.monotonic() - start)


class _Run:
    """One call of :func:`ingest`."""

    def __init__(self, store: FeedbackStore, terms: Terms) -> None:
        self._store = store
        self._terms = terms
        self._shared: RejectFile | None = None
        self._finished: list[str] = []

    @contextmanager
    def shared_rejects(self) -> Generator[None]:
        """Holds the one file of rejects open, where one was asked for."""
        if self._terms.rejects.suffix != ".jsonl":
            yield
            return
        self._shared = RejectFile.at(self._terms.rejects)
        try:
            yield
        finally:
            self._shared.close()

    def forget_progress(self) -> None:
        """Clears what would be gone on from: all sources are finished."""
        for key in self._finished:
            self._store.clear_checkpoint(key)

    def take(self, number: int, name: str) -> SourceReport:
        """Takes one source in."""
        start = time.monotonic()
        with open_feed(name, self._terms.options.limits) as feed:
            rejects, key = self._rejects_of(feed)
            try:
                before = self._state(key)
                self._restore(rejects, before, number)
                source = Taking(self._store, self._terms, feed, rejects, key)
                after = before if before.done else source.run(before, self._told(number))
            finally:
                listed = self._close(rejects)
        if key is not None:
            self._finished.append(key)
        return SourceReport(
            source=feed.name,
            format=after.format,
            counts=after.counts,
            seconds=time.monotonic() - start,
            resumed_from=before.position,
            rejects=str(rejects.path) if listed and _has_refusals(after) else None,
        )

    def _rejects_of(self, feed: Feed) -> tuple[RejectFile, str | None]:
        """Opens the file of rejects; returns it with the name under which progress is kept."""
        asked = self._terms.importer or ""
        key = None if feed.key is None else f"ingest:{asked}:{feed.key}"
        if self._shared is not None:
            return self._shared, key
        folder = self._terms.rejects
        rejects, slot = RejectFile.for_source(folder, feed.name, feed.key or feed.name)
        # Who is not the first to take this source in at the moment has a progress of its own.
        return rejects, key if key is None or slot == 1 else f"{key}#{slot}"

    def _state(self, key: str | None) -> State:
        if key is None:
            return State()
        if not self._terms.options.resume:
            self._store.clear_checkpoint(key)
        return State.of(self._store.checkpoint(key))

    def _restore(self, rejects: RejectFile, state: State, number: int) -> None:
        """Makes the file of rejects what it was when the state was committed."""
        if state.position or rejects is not self._shared or number == 1:
            rejects.keep(state.rejects_bytes)

    def _told(self, number: int) -> Callable[[Progress], None]:
        terms = self._terms
        return lambda p: terms.progress(replace(p, number=number, sources=terms.sources))

    def _close(self, rejects: RejectFile) -> bool:
        return rejects.size > 0 if rejects is self._shared else rejects.close()


def _has_refusals(state: State) -> bool:
    return state.counts["rejected"] + state.counts["conflicts"] > 0
