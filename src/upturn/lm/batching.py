"""One worker thread that turns many waiting callers into batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from dspy.lm15 import ServerError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Job(Generic[T, R]):
    """One caller's work; ``group`` says which jobs may run together."""

    item: T
    group: Hashable
    future: Future[R] = field(default_factory=Future)


class BatchWorker(Generic[T, R]):
    """Runs waiting items in batches of one group, oldest first, on one thread.

    Callers that were answered a moment ago will be back, so after a batch it waits a little for
    half of those it knows. A lone caller never waits.

    Args:
        run: items of one group -> results, in order; only ever called on the worker's thread.
        max_batch: most items of one batch.
        fitting: how many of these items, oldest first, may run at once; at least one always does.
        linger_s: longest wait, counted from the end of the last batch.
        start: called once on the worker's thread before the first batch.
    """

    def __init__(
        self,
        run: Callable[[list[T]], list[R]],
        *,
        max_batch: int = 32,
        fitting: Callable[[list[T]], int] = len,
        linger_s: float = 0.05,
        start: Callable[[], None] = lambda: None,
    ) -> None:
        self._run = run
        self._max_batch = max_batch
        self._fitting = fitting
        self._linger_s = linger_s
        self._start = start
        self._ready = threading.Condition()
        self._waiting: list[Job[T, R]] = []
        self._running: list[Job[T, R]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="upturn-lm", daemon=True)
        self._thread.start()

    def submit(self, item: T, group: Hashable) -> Future[R]:
        """Queues an item.

        Raises:
            ServerError: the worker is closed, or has died.
        """
        job: Job[T, R] = Job(item=item, group=group)
        # Running, so that a cancelled async caller cannot cancel under the worker's hands.
        job.future.set_running_or_notify_cancel()
        with self._ready:
            if self._closed:
                raise _stopped()
            self._waiting.append(job)
            self._ready.notify()
        return job.future

    def close(self) -> None:
        """Ends the worker after the batch it runs; those still waiting get an error."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _loop(self) -> None:
        try:
            self._start()
            while batch := self._next():
                self._answer(batch)
        finally:
            # However the thread ends, nobody is left waiting.
            with self._ready:
                self._closed = True
                left, self._waiting = [*self._running, *self._waiting], []
            for job in left:
                if not job.future.done():
                    job.future.set_exception(_stopped())

    def _answer(self, batch: list[Job[T, R]]) -> None:
        self._running = batch
        try:
            results = self._run([job.item for job in batch])
        except Exception as error:
            # Whatever went wrong in the model is the answer its callers get.
            for job in batch:
                job.future.set_exception(error)
        else:
            for job, result in zip(batch, results, strict=True):
                job.future.set_result(result)

    def _next(self) -> list[Job[T, R]]:
        with self._ready:
            # Half of all callers: while one half is computed, the other half prepares its requests.
            expected = min(self._max_batch, -(-(len(self._running) + len(self._waiting)) // 2))
            deadline = time.monotonic() + self._linger_s
            while not self._waiting and not self._closed:
                self._ready.wait()
            while len(self._waiting) < expected and not self._closed:
                if not self._ready.wait(max(0.0, deadline - time.monotonic())):
                    break
            if self._closed:
                return []
            return self._take()

    def _take(self) -> list[Job[T, R]]:
        group = self._waiting[0].group
        batch = [job for job in self._waiting if job.group == group][: self._max_batch]
        batch = batch[: max(1, self._fitting([job.item for job in batch]))]
        taken = set(map(id, batch))
        self._waiting = [job for job in self._waiting if id(job) not in taken]
        return batch


def _stopped() -> ServerError:
    return ServerError("the local model's worker has stopped; make a new connection")
