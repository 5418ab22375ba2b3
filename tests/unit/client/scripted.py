"""A server that behaves as a test says: well, badly, slowly, or not at all."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

#: Answers a request (path, headers, events) with a whole HTTP response; None closes without one.
Behaviour = Callable[[str, dict[str, str], Any], bytes | None]


class Last(bytes):
    """What is sent before the connection is closed."""


def response(status: int, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def accepts(path: str, headers: dict[str, str], events: Any) -> bytes:
    value = {"accepted": len(events), "rejected": 0, "problems": [], "conflicts": []}
    return response(200, json.dumps(value).encode())


def says(status: int, body: bytes = b"{}", *headers: str) -> Behaviour:
    return lambda path, sent, events: response(status, body, *headers)


@dataclass
class Server:
    """What came in, and how to behave; ``behave`` may be changed while it runs."""

    behave: Behaviour
    url: str = ""
    posts: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    connections: int = 0

    @property
    def events(self) -> list[dict[str, Any]]:
        return [e for _, _, events in self.posts for e in events]

    @property
    def ids(self) -> list[str]:
        return [e["id"] for e in self.events]


@contextmanager
def scripted(behave: Behaviour = accepts) -> Iterator[Server]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(behave, f"http://127.0.0.1:{listener.getsockname()[1]}")
    open_ones: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_ones.append(connection)
                server.connections += 1
                threading.Thread(target=_talk, args=(connection, server), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in open_ones:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def _talk(connection: socket.socket, server: Server) -> None:
    with suppress(OSError, ValueError), connection.makefile("rb") as stream:
        while line := stream.readline():
            path = line.split()[1].decode()
            headers: dict[str, str] = {}
            while (header := stream.readline().strip()) != b"":
                name, _, value = header.decode().partition(":")
                headers[name.lower()] = value.strip()
            events = json.loads(stream.read(int(headers["content-length"])))
            answer = server.behave(path, headers, events)
            if answer is None:
                connection.close()
                return
            server.posts.append((path, headers, events))
            connection.sendall(answer)
            if isinstance(answer, Last):
                connection.shutdown(socket.SHUT_RDWR)
                return
