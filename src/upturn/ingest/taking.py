"""One source on its way into the store: a batch, its refusals and how far it was read, together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from upturn.errors import DataError
from upturn.events import Event
from upturn.ingest.batches import Batch, Reading
from upturn.ingest.feeds import Feed
from upturn.ingest.formats import importer_named, recognised
from upturn.ingest.options import Terms
from upturn.ingest.rejects import Refusal, RejectFile
from upturn.ingest.report import EVENT_COUNTS, Progress
from upturn.ingest.state import State
from upturn.store import Added, FeedbackStore, broken_rule


class Taking:
    """One source on its way into the store.

    Args:
        key: under which the store keeps how far it was read; None where it cannot go on.
    """

    def __init__(
        self,
        store: FeedbackStore,
        terms: Terms,
        feed: Feed,
        rejects: RejectFile,
        key: str | None,
    ) -> None:
        self._store = store
        self._terms = terms
        self._feed = feed
        self._rejects = rejects
        self._key = key

    def run(self, state: State, told: Callable[[Progress], None]) -> State:
        """Takes all batches in, and returns the state at the end."""
        feed, first = self._feed, state
        self._list(state)
        reading, batches = self._batches(state)
        name = reading.importer.name if reading.importer else state.format
        for batch in batches:
            state = self._commit(batch, state, name)
            self._list(state)
            told(self._progress(first, state, batch.consumed))
        state = replace(state, done=True, unlisted=(), rejects_bytes=self._rejects.size)
        self._rejects.sync()
        if self._key is not None:
            self._store.add((), checkpoint=state.checkpoint(self._key))
        told(replace(self._progress(first, state, feed.consumed()), done=True))
        return state

    def _batches(self, state: State) -> tuple[Reading, Iterator[Batch]]:
        records = self._feed.records(state.position)
        named = self._feed.format or self._terms.importer or state.format
        if named:
            found = importer_named(named)
        else:
            found, records = recognised(records, where=self._feed.name)
        reading = Reading(
            importer=found,
            scrub=self._terms.scrub,
            scrub_text=self._terms.options.scrub_text,
            clock=self._terms.options.clock,
        )
        return reading, reading.batches(records, self._feed.consumed)

    def _commit(self, batch: Batch, state: State, format: str) -> State:
        """Stores a batch. Its refusals are on disk before the store says that they are counted."""
        size = self._rejects.size
        try:
            return self._add(batch, state, format)
        except DataError:
            # An event breaks a rule of the store, and none of the batch is in it.
            self._rejects.keep(size)
            return self._add(self._storable(batch), state, format)

    def _add(self, batch: Batch, state: State, format: str) -> State:
        self._rejects.add(self._feed.name, batch.refusals)
        self._rejects.sync()
        size = self._rejects.size

        def after(added: Added) -> State:
            return state.after(batch, added, format=format, rejects_bytes=size)

        key = self._key
        if key is None:
            return after(self._store.add(batch.events))
        # What becomes of a batch is known only when it is in the store; how far the source was
        # read is committed together with it.
        return after(self._store.add(batch.events, checkpoint=lambda a: after(a).checkpoint(key)))

    def _storable(self, batch: Batch) -> Batch:
        """Returns a batch without the events that the store refuses, and with their refusals."""
        refusals = list(batch.refusals)
        kept: list[tuple[Event, tuple[int, int]]] = []
        for event, at in zip(batch.events, batch.lines, strict=True):
            if rule := broken_rule(event):
                refusals.append(Refusal(*at, "", self._terms.options.scrub_text(rule)))
            else:
                kept.append((event, at))
        events, lines = [e for e, _ in kept], [at for _, at in kept]
        return replace(batch, events=events, lines=lines, refusals=refusals)

    def _list(self, state: State) -> None:
        """Lists the conflicts of the last batch, now that they are committed."""
        self._rejects.add(self._feed.name, state.unlisted)

    def _progress(self, first: State, state: State, consumed: int) -> Progress:
        events = sum(state.counts[name] - first.counts[name] for name in EVENT_COUNTS)
        return Progress(
            source=self._feed.name,
            number=0,
            sources=0,
            records=state.position - first.position,
            events=events,
            consumed=consumed,
            size=self._feed.size,
        )
