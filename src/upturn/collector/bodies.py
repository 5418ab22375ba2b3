"""Reads bodies from the network, bounded before and after gzip is undone."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from upturn.collector.limits import Limits
from upturn.collector.replies import DisconnectedError, RefusedError

Receive = Callable[[], Awaitable[Any]]


class Bodies:
    """Reads bodies, and knows how many bytes all of them hold. Used by one thread."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.held = 0

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """Returns a body as it was sent. Its bytes count as held until :meth:`release`.

        Raises:
            RefusedError: 413 where it is too large, 503 where too much is held already.
            DisconnectedError: the sender went away.
        """
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._limits.body_bytes:
            self._too_large(length.decode("latin-1"))
        chunks: list[bytes] = []
        size, more = 0, True
        try:
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise DisconnectedError
                chunk, more = message.get("body", b""), message.get("more_body", False)
                self.held += len(chunk)
                size += len(chunk)
                self._check(size)
                chunks.append(chunk)
        except BaseException:
            self.held -= size
            raise
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def hold(self, size: int) -> None:
        """Counts bytes that come on top, such as a body with its gzip undone.

        Raises:
            RefusedError: 503 where too much is held; the bytes are not counted then.
        """
        self.held += size
        if self.held > self._limits.held_bytes:
            self.held -= size
            raise _full()

    def release(self, size: int) -> None:
        """Says that bytes are no longer held."""
        self.held -= size

    def _check(self, size: int) -> None:
        if size > self._limits.body_bytes:
            self._too_large(f"{size} or more")
        if self.held > self._limits.held_bytes:
            raise _full()

    def _too_large(self, size: str) -> None:
        raise RefusedError(
            413,
            f"a body must have at most {self._limits.body_bytes} bytes, got {size[:20]}",
            fix="send fewer events at once",
        )


def _full() -> RefusedError:
    return RefusedError(503, "the collector holds too much at the moment", retry_after_s=1)


def decoded(body: bytes, encoding: bytes, limits: Limits) -> bytes:
    """Returns a body with its content encoding undone; stops at the limit, however much follows.

    Raises:
        RefusedError: 413 too large, 400 broken gzip, 415 another encoding.
    """
    if encoding in (b"", b"identity"):
        return body
    if encoding != b"gzip":
        name = encoding.decode("latin-1")[:40]
        raise RefusedError(415, f"the content encoding must be gzip or none, got {name!r}")
    parts: list[bytes] = []
    room = limits.body_bytes
    while body:
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            part = stream.decompress(body, room + 1)
        except zlib.error:
            raise RefusedError(400, "the body must be gzip, as its header says") from None
        room -= len(part)
        if room < 0:
            rule = f"a body must have at most {limits.body_bytes} bytes when gzip is undone"
            raise RefusedError(413, rule, fix="send fewer events at once")
        if not stream.eof:
            raise RefusedError(400, "the gzip body must be whole, it ends too early")
        parts.append(part)
        body = stream.unused_data  # gzip files may be put one behind the other
    return b"".join(parts)
