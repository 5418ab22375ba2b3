"""Runs a collector on a socket until it is told to end."""

from __future__ import annotations

import ipaddress
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager

import uvicorn

from upturn.collector.app import Collector, create_app
from upturn.collector.protocol import protocol_with
from upturn.errors import InputError


def is_loopback(host: str) -> bool:
    """Whether an address is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """Returns a socket that is bound; port 0 takes a free one.

    Raises:
        InputError: the address is not ours or is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        bound.close()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"the address must be free and one of this machine, got: {reason}",
            where=f"{host}:{port}",
            fix=f"upturn collect --port {port + 1 if 0 < port < 65535 else 8787} …",
        ) from None
    return bound


def serve(collector: Collector, bound: socket.socket, *, ready: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT, then answers what it has taken, and returns.

    Args:
        collector: what to serve; its store stays open.
        bound: a bound socket; closed at the end.
        ready: called with the base URL when the collector listens.
    """
    limits = collector.limits
    config = uvicorn.Config(
        create_app(collector),
        http=protocol_with(limits),
        ws="none",
        lifespan="on",
        log_config=None,
        # Paths and addresses of senders are nobody's business, and bodies even less.
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(limits.idle_s),
        timeout_graceful_shutdown=int(limits.drain_s),
        limit_concurrency=limits.connections,
    )
    host, port = bound.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    server = _Server(config, lambda: ready(url))
    with _quiet_end():
        server.run(sockets=[bound])


class _Server(uvicorn.Server):
    """Says when it listens: before that, a sender would be refused."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()


@contextmanager
def _quiet_end() -> Generator[None]:
    """uvicorn raises its signal again when it has ended well; for us that is the end."""

    def ignore(number: int, frame: object) -> None:
        return None

    before = {n: signal.signal(n, ignore) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
