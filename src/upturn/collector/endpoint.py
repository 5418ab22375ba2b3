"""One POST route as plain ASGI: token, body, work, answer; every way out is counted.

Starlette's request objects and FastAPI's models are left out on purpose: a collector answers
thousands of small requests a second, and they cost more than the work itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from upturn.collector.accept import Batch
from upturn.collector.bodies import Bodies, Receive, decoded
from upturn.collector.limits import Limits
from upturn.collector.metrics import Metrics
from upturn.collector.rate import RateLimit
from upturn.collector.replies import DisconnectedError, RefusedError, Reply, Send
from upturn.collector.tokens import Right, Token, TokenBook

log = logging.getLogger("upturn.collector")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request whose body is there, with its encoding undone."""

    token: Token
    body: bytes
    content_type: bytes


@dataclass(frozen=True, kw_only=True)
class Door:
    """What all routes of one collector share."""

    book: TokenBook
    bodies: Bodies
    rate: RateLimit
    metrics: Metrics
    limits: Limits

    def charge(self, token: Token, batch: Batch) -> None:
        """Takes a batch from its token's rate; the first event was paid at the door."""
        if batch.size > 1:
            self.rate.take(token.digest, batch.size - 1)

    async def work(self, size: int, function: Callable[[], T]) -> T:
        """Runs parsing and checking: small bodies at once, large ones in another thread."""
        if size <= self.limits.in_loop_bytes:
            return function()
        return await asyncio.to_thread(function)


class Endpoint:
    """An ASGI application for one path.

    Args:
        door: what the routes share.
        right: what a token must be allowed to send.
        handle: answers a call; may raise ``RefusedError``.
        refuse: turns a refusal into an answer, given the request's content type.
    """

    def __init__(
        self,
        door: Door,
        right: Right,
        handle: Callable[[Call], Awaitable[Reply]],
        refuse: Callable[[RefusedError, bytes], Reply],
    ) -> None:
        self._door = door
        self._right = right
        self._handle = handle
        self._refuse = refuse

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = dict(scope["headers"])
        content_type = headers.get(b"content-type", b"")
        try:
            reply = await self._answer(headers, content_type, receive)
        except RefusedError as error:
            reply = self._refuse(error, content_type)
        except DisconnectedError:
            self._door.metrics.answered(self._right, 499, time.perf_counter() - started)
            return
        except Exception as error:  # the outermost boundary: a sender never sees a traceback
            log.error("a request failed: %s", type(error).__name__, exc_info=_place(error))
            failed = RefusedError(500, "the collector failed, nothing is acknowledged")
            reply = self._refuse(failed, content_type)
        await reply.send(send)
        self._door.metrics.answered(self._right, reply.status, time.perf_counter() - started)

    async def _answer(
        self, headers: dict[bytes, bytes], content_type: bytes, receive: Receive
    ) -> Reply:
        door = self._door
        token = door.book.check(headers.get(b"authorization"), self._right)
        door.rate.take(token.digest, 1)
        body = await door.bodies.read(headers, receive)
        held = len(body)
        try:
            encoding = headers.get(b"content-encoding", b"").strip().lower()
            if encoding:
                raw = body
                body = await door.work(len(raw), lambda: decoded(raw, encoding, door.limits))
                door.bodies.hold(len(body))
                held += len(body)
            return await self._handle(Call(token, body, content_type))
        finally:
            door.bodies.release(held)


def _place(error: Exception) -> Exception:
    """Returns an error of the same place without its message, which may quote what was sent."""
    return RuntimeError(type(error).__name__).with_traceback(error.__traceback__)
