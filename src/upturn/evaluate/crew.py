"""Threads that take jobs from one queue, in order: the hand-over costs once a thread, not a job."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from typing import Any, TypeVar

T = TypeVar("T")


class Crew:
    """Runs jobs on its threads.

    Args:
        threads: most jobs at a time.
        interrupt: called when jobs in flight should give up waiting for the world.

    Attributes:
        closed: no further job begins.
    """

    def __init__(self, threads: int, *, interrupt: Callable[[], None] = lambda: None) -> None:
        self._interrupt = interrupt
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="upturn-row")
        self.closed = False

    def run(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """Runs all jobs; returns what they return, in their order.

        The first job that raises ends it: jobs that have not begun are dropped, those in flight are
        waited for, since they still use the model, and the first error in order is raised.

        Raises:
            CancelledError: the crew was closed before all jobs had begun.
        """
        batch = _Batch(jobs, lambda: self.closed)
        workers = [self._pool.submit(batch.work) for _ in range(min(self._threads, len(jobs)))]
        try:
            wait(workers)
        except BaseException:
            batch.stopped = True
            self._interrupt()
            wait(workers)
            raise
        return batch.results()

    def close(self) -> None:
        """Ends the threads; jobs that wait are dropped, jobs in flight are waited for."""
        self.closed = True
        self._pool.shutdown(cancel_futures=True)


class _Batch:
    """The jobs of one call, and what became of them."""

    def __init__(self, jobs: Sequence[Callable[[], Any]], closed: Callable[[], bool]) -> None:
        self._jobs = jobs
        self._closed = closed
        self._next = itertools.count()  # a step of it is atomic
        self._done: list[Any] = [None] * len(jobs)
        self._finished = [False] * len(jobs)
        self._errors: dict[int, BaseException] = {}
        self.stopped = False

    def work(self) -> None:
        while not (self.stopped or self._closed()):
            i = next(self._next)
            if i >= len(self._jobs):
                return
            try:
                self._done[i] = self._jobs[i]()
                self._finished[i] = True
            except BaseException as error:  # raised again in the caller's thread
                self._errors[i] = error
                self.stopped = True

    def results(self) -> list[Any]:
        if self._errors:
            raise self._errors[min(self._errors)]
        if not all(self._finished):
            raise CancelledError("the evaluator was closed before all rows had begun")
        return self._done
