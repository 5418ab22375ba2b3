"""Starts the worker of a job, follows it to its end, and tells how it went.

Out of memory, once: the batch is halved and accumulated twice as often. The rows of a step and
their order depend on the product of the two alone, so the job goes on from its newest checkpoint
over the same rows; only the last digits of sums may differ.
"""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from types import FrameType

from upturn.errors import CorruptionError, UpturnError
from upturn.finetune.endings import Ending
from upturn.finetune.folder import EventReader, JobFolder
from upturn.finetune.kinds import job_kind
from upturn.finetune.launch import Launcher, Running
from upturn.finetune.records import FINAL, Event, Exit, WorkOrder
from upturn.finetune.watch import Follower, Listener, Story

#: How many times ``stall_minutes`` a worker may say nothing: a long evaluation is no stall.
HANGING = 3


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training that ended with an adapter in the folder's ``final/``.

    Attributes:
        order: as it ended, with the batch halved where it had to be.
        story: what the worker said, over all attempts of this call.
        seconds: wall time of this call.
        resumed: whether it went on from a checkpoint.
    """

    order: WorkOrder
    story: Story
    seconds: float
    resumed: bool


class Runner:
    """Runs jobs in their folders.

    Args:
        launcher: where workers run.
        listener: told each event.
        tell: told in one sentence when somebody stops it.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        launcher: Launcher,
        listener: Listener,
        *,
        tell: Callable[[str], None] = lambda sentence: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._launcher, self._listener = launcher, listener
        self._tell, self._clock = tell, clock

    def run(self, folder: JobFolder, order: WorkOrder, *, lock: int) -> Training:
        """Trains until the job is done; goes on from the folder's newest whole checkpoint.

        Args:
            folder: written and locked by the caller.
            order: what its ``work.json`` says.
            lock: the lock's file descriptor.

        Raises:
            TrainingError: numbers, memory, disk, a stall or a crash ended it; says what stands.
            InputError: the worker found something that the user can mend.
            StoppedError: somebody stopped it.
            BudgetExceededError: a cap of ``run`` was reached.
        """
        started, story = self._clock(), Story()
        folder.mend_events()
        resumed = folder.newest_checkpoint() is not None
        for halved in (False, True):
            ending = self._attempt(folder, order, story, lock, halved=halved)
            smaller = None if halved else halve(order)
            if ending.code == Exit.MEMORY and not ending.stopped and smaller is not None:
                self._warn(folder, story, order, smaller)
                order = smaller
                folder.write_order(order)
                continue
            if ending.code != Exit.DONE or story.done is None:
                raise ending.error()
            break
        if not any((folder.path / FINAL).glob("*.safetensors")):
            raise _no_adapter(folder)
        return Training(order=order, story=story, seconds=self._clock() - started, resumed=resumed)

    def _attempt(
        self, folder: JobFolder, order: WorkOrder, story: Story, lock: int, *, halved: bool
    ) -> Ending:
        story.fresh_attempt()
        reader = EventReader(folder.events, from_end=True)
        follower = Follower(
            stall_s=order.spec.run.stall_minutes * 60 * HANGING,
            listener=self._listener,
            clock=self._clock,
        )
        running = self._launcher.start(folder, order, lock=lock)
        try:
            with _signals(running, self._tell) as signalled:
                code = follower.follow(running, reader, story)
        finally:
            running.close()
        return Ending(
            code=code,
            stopped=signalled.is_set(),
            order=order,
            folder=folder,
            story=story,
            halved=halved,
        )

    def _warn(self, folder: JobFolder, story: Story, old: WorkOrder, new: WorkOrder) -> None:
        """Says in the folder, too, that the batch was cut: it is part of the job's record."""
        was, now = old.spec.optim, new.spec.optim
        message = (
            f"out of memory at step {story.step}: per_device_train_batch_size "
            f"{was.per_device_train_batch_size} -> {now.per_device_train_batch_size}, "
            f"gradient_accumulation_steps {was.gradient_accumulation_steps} -> "
            f"{now.gradient_accumulation_steps}; the rows of a step stay the same"
        )
        event = Event(kind="warning", time=time.time(), values={"message": message})
        folder.mend_events()
        with folder.events.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event.to_json()) + "\n")
        story.add(event)
        self._listener.event(event)


def halve(order: WorkOrder) -> WorkOrder | None:
    """Returns the order with half the batch and twice the accumulation, or None where it cannot be.

    An odd batch goes down to its largest divisor. A kind that compares
    the rows of a batch needs more than one.
    """
    optim = order.spec.optim
    size = optim.per_device_train_batch_size
    least = job_kind(order.spec.kind).least_batch
    smaller = next((d for d in range(size // 2, least - 1, -1) if size % d == 0), None)
    if smaller is None:
        return None
    more = optim.gradient_accumulation_steps * (size // smaller)
    changed = replace(optim, per_device_train_batch_size=smaller, gradient_accumulation_steps=more)
    return replace(order, spec=replace(order.spec, optim=changed))


@contextlib.contextmanager
def _signals(running: Running, tell: Callable[[str], None]) -> Generator[threading.Event]:
    """Passes SIGINT and SIGTERM on to the worker: the first stops it in order, the second ends it.

    Outside the main thread there is nothing to catch; whoever owns the process decides there.
    """
    asked = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            running.kill()
            return
        asked.set()
        running.stop()
        tell("stopping: the worker writes a checkpoint; once more to end it now")

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _no_adapter(folder: JobFolder) -> UpturnError:
    return CorruptionError(
        "a finished job must leave an adapter in final/, found none",
        where=str(folder.final),
        fix=f"see {folder.log}; a command launcher must bring final/ back into the folder",
    )
