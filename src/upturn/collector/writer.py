"""Group commit: one thread writes what all connections wait for, in as few transactions as it can.

A batch is answered only when ``Store.add`` has returned, which is when it is durable.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from upturn.collector.accept import Batch
from upturn.collector.groups import Groups, Waiting
from upturn.collector.limits import Limits
from upturn.collector.port import Observer, Store
from upturn.collector.replies import RefusedError
from upturn.collector.scope import FeedbackScope
from upturn.errors import DataError, UpturnError
from upturn.records import Json

log = logging.getLogger("upturn.collector")

#: A request id that no request has: asking for it shows whether the store answers.
_NOBODY = "upturn collector readiness"


@dataclass(frozen=True, slots=True)
class _Result:
    waiting: Waiting
    conflicts: list[dict[str, Json]]
    failure: RefusedError | None = None


class Writer:
    """Writes batches from a bounded queue.

    Args:
        store: used by the writer's thread only, from :meth:`start` on.
        limits: sizes of the queue and of a group.
        observer: hears of commits and failures, in the writer's thread.
        clock: seconds that never go back.

    Attributes:
        queued: events that wait for the store.
        last_ok: when the store last answered, by the clock.
    """

    def __init__(
        self,
        store: Store,
        limits: Limits,
        observer: Observer,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._scope = FeedbackScope(store)
        self._limits = limits
        self._observer = observer
        self._clock = clock
        self._groups = Groups(limits, clock=clock)
        self._closing = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.queued = 0  # changed in the event loop only
        self.last_ok = float("-inf")

    def start(self) -> None:
        """Starts the thread. Called in the event loop that the writer then answers to."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="upturn-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Writes everything that is queued, answers it, and ends the thread."""
        self._closing = True
        self._groups.end()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    async def write(self, batch: Batch) -> list[dict[str, Json]]:
        """Returns the batch's conflicts when all its other events are durable.

        An empty batch returns when the store has answered a question.

        Raises:
            RefusedError: 503 where the queue is full, the collector is ending, or the store fails;
                422 where the store can never take the batch. Nothing is acknowledged then.
        """
        size = max(1, len(batch.events))
        if self._closing:
            raise RefusedError(503, "the collector is shutting down", retry_after_s=2)
        # A batch that is larger than the queue goes in where nothing else waits.
        if self.queued and self.queued + size > self._limits.queue_events:
            rule = f"at most {self._limits.queue_events} events may wait for the store"
            raise RefusedError(503, rule, retry_after_s=1)
        assert self._loop is not None, "started before it is used"
        waiting = Waiting(batch, self._loop.create_future(), size)
        self.queued += size
        self._groups.put(waiting)
        return await waiting.future

    @property
    def full(self) -> bool:
        """Whether the queue is at its limit."""
        return self.queued >= self._limits.queue_events

    def _run(self) -> None:
        assert self._loop is not None
        while group := self._groups.take():
            results = self._commit(group)
            self._loop.call_soon_threadsafe(self._answer, results)

    def _commit(self, group: list[Waiting]) -> list[_Result]:
        try:
            return self._write(group)
        except Exception as error:  # a store may be any database, with errors of any kind
            if len(group) == 1:
                return [_Result(group[0], [], self._failure(error))]
            self._failure(error)
        return self._one_by_one(group)

    def _one_by_one(self, group: list[Waiting]) -> list[_Result]:
        """Writes each batch alone: one that the store cannot take must not fail the others.

        Two failures before any success are a store that is away, and the rest is not tried.
        """
        results: list[_Result] = []
        failures, written = 0, False
        for waiting in group:
            if failures >= 2 and not written:
                results.append(_Result(waiting, [], _away()))
                continue
            try:
                results += self._write([waiting])
                written = True
            except Exception as error:  # as above
                failures += 1
                results.append(_Result(waiting, [], self._failure(error)))
        return results

    def _write(self, group: list[Waiting]) -> list[_Result]:
        for waiting in group:
            self._scope.check(waiting.batch)
        events = [e for w in group for _, e in w.batch.events]
        conflicts: dict[tuple[str, str], str] = {}
        if events:
            started = self._clock()
            added = self._store.add(events)
            conflicts = {(c.kind, c.id): c.reason for c in added.conflicts}
            self._observer.committed(len(events), self._clock() - started)
        else:
            self._store.request(_NOBODY)
        self.last_ok = self._clock()
        if not conflicts:  # else some of them are not what the store holds
            self._scope.remember(events)
        return [_Result(w, _conflicts_of(w.batch, conflicts)) for w in group]

    def _failure(self, error: Exception) -> RefusedError:
        """Counts and logs a failure of the store, and returns what its senders are told."""
        self._observer.store_failed()
        # Another library's message may quote the values that it could not write.
        what = error.what if isinstance(error, UpturnError) else type(error).__name__
        log.error("the store did not take events: %s", what)
        # Data that the store will never take must not be sent again and again.
        return RefusedError(422, error.what) if isinstance(error, DataError) else _away()

    def _answer(self, results: list[_Result]) -> None:
        for result in results:
            waiting = result.waiting
            self.queued -= waiting.size
            if waiting.future.done():  # the request was cancelled
                continue
            if result.failure is not None:
                waiting.future.set_exception(result.failure)
            else:
                waiting.future.set_result(result.conflicts)


def _away() -> RefusedError:
    return RefusedError(503, "the store did not answer, nothing was taken", retry_after_s=2)


def _conflicts_of(batch: Batch, conflicts: dict[tuple[str, str], str]) -> list[dict[str, Json]]:
    if not conflicts:
        return []
    found: list[dict[str, Json]] = []
    for index, event in batch.events:
        reason = conflicts.get((type(event).__name__.lower(), event.id))
        if reason is not None:
            found.append({"index": index, "id": event.id, "reason": reason})
    return found
