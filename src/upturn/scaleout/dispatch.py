"""Blocks of rows as Ray tasks: so many in flight, lost ones again elsewhere, all called off.

Ray could repeat a lost task by itself, but then nobody learns which attempt died, and what that
attempt had reserved would stay reserved. So each attempt is a task of its own with its own ticket.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from upturn.errors import ConfigError, OutageError, UpturnError
from upturn.records import Json
from upturn.scaleout.desk import Reply
from upturn.scaleout.site import Site
from upturn.scaleout.wire import error_from_json

#: How long rows in flight may go on after a turn was stopped, until their workers are ended.
GRACE_S = 30.0
_LOOK_S = 1.0


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    index: int
    number: int = 0
    ticket: str = ""


class Dispatch:
    """Runs tasks on a site.

    Args:
        site: the cluster and its desk.
        name: goes before the number in tickets; no other dispatch of this site has it.
        tell: told in one sentence when a worker was lost, and what workers wait for.
        clock: seconds, monotonic; for the wait until the first block starts.
    """

    def __init__(
        self,
        site: Site,
        name: str,
        *,
        tell: Callable[[str], None] = lambda sentence: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._site, self._name, self._tell = site, name, tell
        self._clock = clock
        self._tickets = 0
        self._started = False

    def run(
        self,
        task: Callable[..., Any],
        work: Sequence[tuple[Json, ...]],
        done: Callable[[int, Json], None],
    ) -> None:
        """Runs ``task(ticket, *args)`` for all of the work; returns when the last one is done.

        Args:
            task: submits a task and returns its reference.
            work: the arguments of each task.
            done: told index and value of each task that is done, in any order; if it raises, the
                rest is called off.

        Raises:
            UpturnError: the first error that a task came back with; the rest is called off.
            OutageError: a task was lost too often, or no node takes one.
        """
        waiting = deque(_Attempt(index=i) for i in range(len(work)))
        flying: dict[Any, _Attempt] = {}
        since = self._clock()
        try:
            while waiting or flying:
                while waiting and len(flying) < self._site.options.max_tasks:
                    attempt = replace(waiting.popleft(), ticket=self._ticket())
                    flying[task(attempt.ticket, *work[attempt.index])] = attempt
                for ref in self._ended(list(flying), since):
                    attempt = flying.pop(ref)
                    value = self._value(ref)
                    if value is not None:
                        done(attempt.index, value)
                    else:
                        waiting.appendleft(self._again(attempt))
        finally:
            if flying:
                self._call_off(flying)

    def _ticket(self) -> str:
        self._tickets += 1
        return f"{self._name}.{self._tickets}"

    def _ended(self, refs: list[Any], since: float) -> list[Any]:
        import ray

        ended, _ = ray.wait(refs, num_returns=1, timeout=_LOOK_S)
        if ended:
            self._started = True
            return ended
        for sentence in self._site.line.call("news"):
            self._tell(sentence)
        self._started = self._started or self._site.line.call("entered") > 0
        waited_s = self._clock() - since
        if not self._started and waited_s > self._site.options.start_timeout_s:
            raise OutageError(
                f"a node must take the first rows within {waited_s:.0f} s, and none has "
                f"{self._site.options.num_cpus_per_task:g} free CPUs",
                where="ray.num_cpus_per_task",
                fix="ray status",
            )
        return ended

    def _value(self, ref: Any) -> Json | None:
        """Returns what a task came back with, or None if its worker or node was lost."""
        import ray
        from ray import exceptions

        lost = (
            exceptions.WorkerCrashedError,
            exceptions.NodeDiedError,
            exceptions.OutOfMemoryError,
            exceptions.ObjectLostError,
        )
        try:
            reply: Reply = ray.get(ref)
        except lost:
            return None
        except exceptions.RayTaskError as error:
            raise _unforeseen(error) from error
        if "error" in reply:
            raise error_from_json(reply["error"])
        return reply["value"]

    def _again(self, attempt: _Attempt) -> _Attempt:
        self._site.line.call("release", attempt.ticket)
        limit = self._site.options.max_retries
        if attempt.number >= limit:
            raise OutageError(
                f"rows may be lost with their worker {limit} times, and some were lost "
                f"{attempt.number + 1} times",
                where="ray",
                fix="ray status; workers that end by themselves often need more memory",
            )
        self._tell(f"a worker was lost; its rows run again ({attempt.number + 1} of {limit})")
        return _Attempt(index=attempt.index, number=attempt.number + 1)

    def _call_off(self, flying: dict[Any, _Attempt]) -> None:
        import ray

        refs = list(flying)
        for ref in refs:
            # Not what it asked the desk: a paid answer on its way must arrive.
            ray.cancel(ref, recursive=False)
        _, hanging = ray.wait(refs, num_returns=len(refs), timeout=GRACE_S)
        for ref in hanging:
            ray.cancel(ref, force=True, recursive=False)
        for attempt in flying.values():
            self._site.line.call("release", attempt.ticket)


def _unforeseen(error: Any) -> UpturnError:
    cause = error.cause
    if isinstance(cause, ImportError):
        return ConfigError(
            f"every node must have the packages of this process ({cause})",
            where="ray",
            fix="give all nodes of the cluster the same image",
        )
    return UpturnError(f"a worker failed: {type(cause).__name__}: {cause}", where="ray")
