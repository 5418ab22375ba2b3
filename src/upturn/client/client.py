"""The client: what an application calls. No call blocks, and none raises."""

from __future__ import annotations

import atexit
import os
import random
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

from upturn.client.backoff import Backoff
from upturn.client.delivery import Delivery
from upturn.client.lines import scrubbed
from upturn.client.options import Options, destination
from upturn.client.outbox import Outbox
from upturn.client.sender import Sender
from upturn.client.spill import Spill
from upturn.client.stats import Counts, Stats
from upturn.client.transport import Transport
from upturn.events import Event


class Client:
    """Sends events to a collector in the background.

    - A call costs some microseconds: it puts a line into a bounded queue, or drops and counts it.
    - While the collector is away, and at exit, events go to the spill folder; the next client with
      that folder sends them. Without a collector they stay there, as native logs.
    - What a killed process had in memory is lost: what came in the last ``linger_s`` or so.
    - No method raises: errors are counted in :meth:`stats`, and each kind is logged once.
    - Threads, asyncio and ``fork`` are fine: a child has a queue and a thread of its own.

    Args:
        url: the collector; ``UPTURN_COLLECTOR_URL`` where None.
        token: its token; ``UPTURN_TOKEN`` where None.
        token_file: a file with the token; ``UPTURN_TOKEN_FILE`` where None.
        spill: the folder for events that wait; False keeps them in memory only; ``UPTURN_SPILL``
            or ``upturn-spill`` where None.
        scrub: takes out of each event what must not leave the process; runs in the background.
        options: how much is held, and for how long.
        environment: where variables are looked up.
        rng: spreads retries.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        token_file: str | Path | None = None,
        spill: str | Path | bool | None = None,
        scrub: Callable[[Event], Event] | None = None,
        options: Options | None = None,
        environment: Mapping[str, str] = os.environ,
        rng: random.Random | None = None,
    ) -> None:
        self._options = options or Options()
        self._to = destination(url, token, token_file, spill, environment)
        self._scrub = None if scrub is None else scrubbed(scrub)
        self._rng = rng or random.Random()
        self._counts = Counts()
        self._reset()
        _clients.add(self)
        # What an earlier process left is sent even if this one records nothing.
        if self._to.url is not None and self._spill is not None and self._spill.segments():
            self._start()

    def put(self, line: bytes) -> None:
        """Takes one native line; see :mod:`upturn.client.lines`."""
        self._counts.add("recorded")
        if len(line) > self._options.event_bytes:
            self._counts.drop("too_large")
        elif self._closed or (self._to.url is None and self._spill is None):
            self._counts.drop("closed" if self._closed else "no_destination")
        elif not self._outbox.put(line):
            self._counts.drop("queue_full")
        if self._sender is None and not self._closed:
            self._start()

    def swallow(self, error: BaseException) -> None:
        """Counts an error that recording met, and that the application must not see."""
        self._counts.swallow(error)

    def invalid(self, rule: str) -> None:
        """Counts feedback that breaks a rule, and logs the rule once."""
        self._counts.add("recorded")
        self._counts.drop("invalid")
        self._counts.say(rule, f"feedback is dropped: {rule}")

    def stats(self) -> Stats:
        """Returns what became of the events so far."""
        try:
            on_disk = 0 if self._spill is None else self._spill.size()
        except OSError:
            on_disk = 0
        return self._counts.snapshot(pending=len(self._outbox), on_disk=on_disk)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Waits until nothing is left in memory; returns whether that came in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            sender = self._sender
            if sender is None or sender.idle:
                return True
            self._outbox.enough.set()
            self._outbox.some.set()
            time.sleep(0.005)
        return False

    def close(self, timeout_s: float | None = None) -> None:
        """Sends what can be sent in time, and writes the rest to the spill folder. Called at exit
        by itself; what is recorded afterwards is dropped."""
        if self._closed:
            return
        self._closed = True
        try:
            with self._lock:
                sender = self._sender
            if sender is not None:
                sender.close(self._options.exit_s if timeout_s is None else timeout_s)
        except Exception as error:  # the end of the application must not fail because of us
            self._counts.swallow(error)

    def after_fork(self) -> None:
        """Begins anew in a child: threads do not survive a fork, and what waits is the parent's."""
        if not self._closed:
            self._counts.reset_lock()
            self._reset()

    def _reset(self) -> None:
        options = self._options
        self._lock = threading.Lock()
        self._closed = False
        self._outbox = Outbox(options)
        place = self._to.spill
        self._spill = None if place is None else Spill(place, options.spill_bytes)
        self._sender: Sender | None = None

    def _start(self) -> None:
        try:
            with self._lock:
                if self._sender is None and not self._closed:
                    sender = self._make_sender()
                    sender.start()
                    self._sender = sender
                    _at_end_of_child(self)
        except RuntimeError as error:  # no new threads: the interpreter is ending
            self._counts.swallow(error)

    def _make_sender(self) -> Sender:
        options, to = self._options, self._to
        backoff = Backoff(options.first_wait_s, options.longest_wait_s, self._rng)
        delivery = None
        if to.url is not None:
            transport = Transport(to.url, to.token, options.timeout_s)
            delivery = Delivery(transport, backoff, self._counts)
        elif self._spill is not None:
            folder = self._spill.folder
            self._counts.say("local", f"UPTURN_COLLECTOR_URL is not set: events go to {folder}")
        return Sender(
            self._outbox,
            delivery,
            self._spill,
            backoff,
            scrub=self._scrub,
            counts=self._counts,
            options=options,
        )


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _at_end_of_child(client: Client) -> None:
    """Children of multiprocessing end without atexit, and forget what was set up before them."""
    process = sys.modules.get("multiprocessing.process")
    util = sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, client.close, exitpriority=10)


def _close_all() -> None:
    for client in list(_clients):
        client.close()


def _after_fork() -> None:
    for client in list(_clients):
        client.after_fork()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
