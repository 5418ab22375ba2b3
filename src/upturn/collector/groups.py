"""The queue before the store: batches go in one by one and come out in groups."""

from __future__ import annotations

import asyncio
import queue
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from upturn.collector.accept import Batch
from upturn.collector.limits import Limits
from upturn.events import Event
from upturn.records import Json


@dataclass(slots=True)
class Waiting:
    """A batch, and whoever waits for it. An empty batch asks whether the store is there."""

    batch: Batch
    future: asyncio.Future[list[dict[str, Json]]]
    size: int


class Groups:
    """Puts from one thread, takes from another.

    Args:
        limits: how large a group gets, and how long it waits for company.
        clock: seconds that never go back.
    """

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._later: deque[Waiting] = deque()
        self._ended = False

    def put(self, waiting: Waiting) -> None:
        """Adds a batch; not after :meth:`end`."""
        self._queue.put(waiting)

    def end(self) -> None:
        """Says that no more batches come."""
        self._queue.put(None)

    def take(self) -> list[Waiting]:
        """Returns the next group; waits for its first batch. [] when all is taken after the end.

        Two batches with one id go into different groups, in their order: then the store can say
        whose content it refused.
        """
        group: list[Waiting] = []
        ids: set[tuple[type[Event], str]] = set()
        earlier, self._later = self._later, deque[Waiting]()
        size, deadline = 0, 0.0
        while size < self._limits.group_events:
            waiting = earlier.popleft() if earlier else self._next(deadline)
            if waiting is None:
                break
            deadline = deadline or self._clock() + self._limits.group_wait_s
            keys = {(type(e), e.id) for _, e in waiting.batch.events}
            if ids & keys:
                self._later.append(waiting)
                continue
            ids |= keys
            group.append(waiting)
            size += waiting.size
        self._later.extend(earlier)
        return group

    def _next(self, deadline: float) -> Waiting | None:
        """Waits for a batch: for the first one as long as it takes, then until the deadline."""
        if self._ended:
            return None
        try:
            if deadline:
                waiting = self._queue.get(timeout=max(0.0, deadline - self._clock()))
            else:
                waiting = self._queue.get()
        except queue.Empty:
            return None
        self._ended = waiting is None
        return waiting
