"""The worker: groups, limits, and no caller left waiting."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, wait

import pytest
from dspy.lm15 import ServerError

from upturn.lm.batching import BatchWorker

#: Only what hangs takes so long; a machine that is slow does not.
PATIENCE_S = 120.0


def blocked(
    release: threading.Event, seen: list[list[int]], *, max_batch: int = 32
) -> tuple[BatchWorker[int, int], Future[int]]:
    """Returns a worker that runs [0] until it is released, and the future of that item."""
    started = threading.Event()

    def run(items: list[int]) -> list[int]:
        seen.append(items)
        if items == [0]:
            started.set()
            release.wait(PATIENCE_S)
        return [10 * i for i in items]

    worker = BatchWorker(run, max_batch=max_batch)
    first = worker.submit(0, "first")
    assert started.wait(PATIENCE_S)
    return worker, first


def test_waiting_items_run_together_by_group_and_limit() -> None:
    release, seen = threading.Event(), []
    worker, first = blocked(release, seen, max_batch=3)
    futures = [first]
    futures += [worker.submit(i, "odd" if i % 2 else "even") for i in range(1, 10)]
    release.set()
    assert [f.result(PATIENCE_S) for f in futures] == [10 * i for i in range(10)]
    worker.close()
    assert max(map(len, seen)) == 3
    assert all(len({i % 2 for i in batch}) == 1 for batch in seen)
    assert seen[0] == [0]
    assert seen[1] == [1, 3, 5]


def test_an_error_reaches_its_batch_and_the_worker_goes_on() -> None:
    def run(items: list[int]) -> list[float]:
        return [1 / i for i in items]

    worker = BatchWorker(run)
    with pytest.raises(ZeroDivisionError):
        worker.submit(0, "g").result(PATIENCE_S)
    assert worker.submit(4, "g").result(PATIENCE_S) == 0.25
    worker.close()


def test_closing_tells_those_who_wait() -> None:
    release, seen = threading.Event(), []
    worker, first = blocked(release, seen)
    second = worker.submit(1, "b")
    closer = threading.Thread(target=worker.close)
    closer.start()
    with worker._ready:
        assert worker._ready.wait_for(lambda: worker._closed, timeout=PATIENCE_S)
    release.set()
    closer.join(PATIENCE_S)
    assert not closer.is_alive()
    assert first.result(PATIENCE_S) == 0
    with pytest.raises(ServerError, match="worker has stopped"):
        second.result(PATIENCE_S)
    with pytest.raises(ServerError, match="worker has stopped"):
        worker.submit(2, "a")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dying_worker_answers_everybody_with_an_error() -> None:
    started = threading.Event()

    def run(items: list[int]) -> list[int]:
        started.wait(PATIENCE_S)
        raise SystemExit

    worker = BatchWorker(run)
    futures = [worker.submit(i, i) for i in range(5)]
    started.set()
    done, not_done = wait(futures, timeout=PATIENCE_S)
    worker.close()
    assert (len(done), len(not_done)) == (5, 0)
    assert all(isinstance(f.exception(), ServerError) for f in futures)


def test_a_batch_is_as_large_as_fits_and_the_oldest_always_runs() -> None:
    release, seen = threading.Event(), []
    started = threading.Event()

    def run(items: list[int]) -> list[int]:
        seen.append(items)
        started.set()
        release.wait(PATIENCE_S)
        return items

    def fitting(items: list[int]) -> int:
        return sum(sum(items[: i + 1]) <= 10 for i in range(len(items)))

    worker = BatchWorker(run, fitting=fitting)
    futures = [worker.submit(1, "g")]
    assert started.wait(PATIENCE_S)
    futures += [worker.submit(i, "g") for i in (4, 5, 6, 99, 1)]
    release.set()
    assert [f.result(PATIENCE_S) for f in futures] == [1, 4, 5, 6, 99, 1]
    worker.close()
    assert seen == [[1], [4, 5], [6], [99], [1]]


def test_async_callers_wait_without_blocking_and_run_together() -> None:
    release, seen = threading.Event(), []
    worker, first = blocked(release, seen)

    async def many() -> list[int]:
        futures = [asyncio.wrap_future(worker.submit(i, "g")) for i in range(1, 9)]
        release.set()
        return await asyncio.gather(*futures)

    assert asyncio.run(many()) == [10 * i for i in range(1, 9)]
    assert first.result(PATIENCE_S) == 0
    worker.close()
    assert seen == [[0], [1, 2, 3, 4, 5, 6, 7, 8]]
