"""One way of a call for threads and tasks: a generator says what to wait for, a driver waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dspy.lm15 import Request, Response

    from upturn.lm.clock import Clock
    from upturn.lm.engine import Engine


@dataclass(frozen=True)
class Sleep:
    """Some seconds, unless something is so already."""

    seconds: float
    unless: Callable[[], bool]


@dataclass(frozen=True)
class Turn:
    """A place that somebody else gives."""

    come: Future[None]


@dataclass(frozen=True)
class Ask:
    """An answer of the engine, which is sent back in."""

    request: Request


Step = Sleep | Turn | Ask
#: Steps on the way to an answer; what a wait raises is thrown in where it was asked for.
Way = Generator[Step, Any, "Response"]


def drive(way: Way, engine: Engine, clock: Clock) -> Response:
    """Goes the way in this thread."""
    step, done = next(way), None
    while True:
        try:
            done = _take(step, engine, clock)
        except BaseException as error:
            step = way.throw(error)
            continue
        try:
            step = way.send(done)
        except StopIteration as end:
            return end.value


async def adrive(way: Way, engine: Engine, clock: Clock) -> Response:
    """Goes the way in this task."""
    step, done = next(way), None
    while True:
        try:
            done = await _atake(step, engine, clock)
        except BaseException as error:
            step = way.throw(error)
            continue
        try:
            step = way.send(done)
        except StopIteration as end:
            return end.value


def _take(step: Step, engine: Engine, clock: Clock) -> Response | None:
    match step:
        case Sleep(seconds, unless):
            return clock.sleep(seconds, unless)
        case Turn(come):
            return come.result()
        case Ask(request):
            return engine.complete(request)


async def _atake(step: Step, engine: Engine, clock: Clock) -> Response | None:
    match step:
        case Sleep(seconds, _):
            return await clock.asleep(seconds)
        case Turn(come):
            return await asyncio.wrap_future(come)
        case Ask(request):
            return await engine.acomplete(request)
