"""What runs on the nodes: the tasks, and the actor that is the desk. Imported by Ray by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from upturn.errors import StorageError, UpturnError
from upturn.lm import AnswerCache, Caps, Meter
from upturn.records import Json
from upturn.scaleout.bench import Bench
from upturn.scaleout.books import Books
from upturn.scaleout.desk import Desk, Reply
from upturn.scaleout.job import Job
from upturn.scaleout.line import Line
from upturn.scaleout.wire import error_to_json

_bench: tuple[str, Bench] | None = None


def run_block(
    order: Json, desk: Any, ticket: str, candidate: Json, examples: Sequence[Json]
) -> Reply:
    """Runs one block of rows; a Ray task.

    Args:
        order: ``{"id": ..., "job": ...}``; a process builds its bench once for an id.
        desk: the handle of the desk's actor.
        ticket: names this attempt at the block.
        candidate, examples: as JSON.

    Returns:
        ``{"value": rows}``, or ``{"error": ...}`` for one of our own errors.
    """
    return _reply(lambda: _benched(order, desk).rows(ticket, candidate, examples))


def run_trace(order: Json, desk: Any, ticket: str, candidate: Json, example: Json) -> Reply:
    """Runs one row and says what each predictor read and wrote; a Ray task."""
    return _reply(lambda: _benched(order, desk).trace(ticket, candidate, example))


class DeskActor:
    """The desk as a Ray actor, on the node of the process that runs the turn.

    Its methods are coroutines, so that Ray runs them all on one event loop.
    """

    def __init__(self) -> None:
        self._cache: AnswerCache | None = None

    async def open(self, cache: str, turn: str, caps: Json, before: Json) -> Reply:
        """Opens the file of answers; ``before`` is what earlier attempts at the turn spent."""
        try:
            self._cache = AnswerCache(Path(cache), turn=turn)
        except UpturnError as error:
            return {"error": error_to_json(error)}
        self._desk = Desk(Books(self._cache, Meter(Caps(**caps), **before)))
        return {"value": None}

    async def handle(self, question: str, *args: Json) -> Reply:
        """Answers a question; see :meth:`Desk.handle`."""
        return await self._desk.handle(question, *args)

    async def close(self) -> None:
        """Closes the file of answers."""
        if self._cache is not None:
            self._cache.close()


def caller(desk: Any) -> Callable[..., Reply]:
    """Returns what puts a question to the desk's actor and waits for the reply."""
    import ray
    from ray.exceptions import RayActorError

    def call(question: str, *args: Json) -> Reply:
        try:
            return ray.get(desk.handle.remote(question, *args))
        except RayActorError as error:
            raise StorageError(
                "the process that keeps the answers must live, and it ended",
                where="ray",
                fix="run the same command again: what was paid for is kept",
            ) from error

    return call


def _benched(order: Json, desk: Any) -> Bench:
    global _bench
    if _bench is not None and (_bench[0] != order["id"] or _bench[1].closed):
        _bench[1].close()
        _bench = None
    if _bench is None:
        _bench = order["id"], Bench(Job.from_json(order["job"]), Line(caller(desk)))
    return _bench[1]


def _reply(work: Callable[[], Json]) -> Reply:
    try:
        return {"value": work()}
    except UpturnError as error:
        return {"error": error_to_json(error)}
