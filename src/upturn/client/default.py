"""The client that calls without one use: made from the environment, when it is first needed."""

from __future__ import annotations

import threading

from upturn.client.client import Client

_lock = threading.Lock()
_default: Client | None = None


def default_client() -> Client:
    """Returns the process's client; the first call makes it."""
    global _default
    if _default is None:
        with _lock:
            if _default is None:
                _default = Client()
    return _default


def use(client: Client | None) -> None:
    """Makes a client the one that calls without one use; None forgets it."""
    global _default
    with _lock:
        _default = client
