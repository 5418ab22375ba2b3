"""What one collector takes at most: bytes, seconds, events per second."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a collector; the defaults suit one process on two cores.

    Attributes:
        body_bytes: one body, as sent and after gzip is undone.
        events: events in one body.
        depth: objects and lists inside each other in one event.
        text_chars: characters of an id or a name: databases index them.
        held_bytes: bodies of all connections together, while they are read and wait.
        queue_events: events that wait for the store.
        group_events: events in one transaction, unless a single body has more.
        group_wait_s: how long a transaction waits for company.
        rate_per_s: events per second and token, over time.
        burst: events per token at once.
        header_s, body_s, idle_s: how long the headers of a request, a whole request, and the
            next request on an open connection may take to come.
        header_bytes: the headers of one request.
        connections: open connections.
        drain_s: how long a shutdown waits for requests that are being answered.
        in_loop_bytes: bodies up to this size are parsed at once; larger ones in another thread,
            so that one big sender does not hold up the small ones.
    """

    body_bytes: int = 8 * MIB
    events: int = 5_000
    depth: int = 64
    text_chars: int = 500
    held_bytes: int = 128 * MIB
    queue_events: int = 20_000
    group_events: int = 2_000
    group_wait_s: float = 0.002
    rate_per_s: float = 10_000.0
    burst: int = 20_000
    header_s: float = 10.0
    body_s: float = 30.0
    idle_s: float = 60.0
    header_bytes: int = 32 * 1024
    connections: int = 1_000
    drain_s: float = 20.0
    in_loop_bytes: int = 64 * 1024
