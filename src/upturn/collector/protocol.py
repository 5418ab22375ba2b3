"""A deadline for every connection: whoever sends too slowly, or nothing, is shown out.

uvicorn ends idle connections between two requests, and waits forever for one that has begun. Here
headers, body and idle time each have a deadline, and headers a size.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from upturn.collector.limits import Limits

_LATE = b'{"error":"the request must come faster"}'
_LARGE = b'{"error":"the headers must be smaller"}'


def _last_words(status: bytes, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\nconnection: close\r\n"
        b"content-length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    )


class TimedProtocol(HttpToolsProtocol):
    """One connection; the deadlines are those of ``limits``."""

    limits: ClassVar[Limits] = Limits()
    _deadline: float | None = None  # loop time; None while it is our turn
    _in_headers = False
    _header_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # A connection that says nothing at all is a late header.
        self._in_headers = True
        self._deadline = self.loop.time() + self.limits.header_s
        self._timer = self.loop.call_at(self._deadline, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._in_headers and self._header_bytes > self.limits.header_bytes:
            self._end(b"431 Request Header Fields Too Large", _LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True
        self._set_deadline(self.limits.header_s)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._header_bytes = 0
        # The body has its own time from here on.
        self._deadline = self.loop.time() + self.limits.body_s
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        # Our turn now, unless we have answered before the body was whole.
        answered = self.cycle.response_complete
        self._deadline = self.loop.time() + self.limits.idle_s if answered else None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._deadline is None:
            self._set_deadline(self.limits.idle_s)

    def _set_deadline(self, seconds: float) -> None:
        """Sets a deadline, which may lie before the one that the timer waits for."""
        deadline = self.loop.time() + seconds
        self._deadline = deadline
        if self._timer is None or self._timer.when() > deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_at(deadline, self._look)

    def _look(self) -> None:
        """Ends the connection where its deadline has passed, else looks again later."""
        now, deadline = self.loop.time(), self._deadline
        if self.transport.is_closing():
            return
        if deadline is not None and now >= deadline:
            self._end(b"408 Request Timeout", _LATE)
            return
        later = now + self.limits.idle_s if deadline is None else deadline
        self._timer = self.loop.call_at(later, self._look)

    def _end(self, status: bytes, body: bytes) -> None:
        # An idle connection, and one that has its answer, is closed without a word.
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        waits = cycle is not None and not cycle.response_started
        if (self._in_headers or waits) and not self.transport.is_closing():
            self.transport.write(_last_words(status, body))
        self.transport.close()


def protocol_with(limits: Limits) -> type[asyncio.Protocol]:
    """Returns uvicorn's protocol with the deadlines of the limits."""
    return type("LimitedProtocol", (TimedProtocol,), {"limits": limits})
