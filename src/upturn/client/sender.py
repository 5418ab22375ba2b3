"""The client's thread: memory to network, memory to disk, disk to network."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from upturn.client.backoff import Backoff
from upturn.client.delivery import Delivery
from upturn.client.options import Options
from upturn.client.outbox import Outbox
from upturn.client.spill import Spill
from upturn.client.stats import Counts

Scrub = Callable[[bytes], bytes]


class Sender:
    """Moves events on until it is closed.

    Args:
        outbox: where events come from.
        delivery: to the collector; None where there is none.
        spill: to disk; None where nothing may be kept there.
        backoff: the pause that the delivery makes after a failure.
        scrub: applied to each line before it leaves memory; None where nothing is to be taken out.
        counts: where outcomes are counted.
        options: sizes and times.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        outbox: Outbox,
        delivery: Delivery | None,
        spill: Spill | None,
        backoff: Backoff,
        *,
        scrub: Scrub | None,
        counts: Counts,
        options: Options,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._delivery = delivery
        self._spill = spill
        self._backoff = backoff
        self._scrub = scrub
        self._counts = counts
        self._options = options
        self._clock = clock
        self._in_hand: list[bytes] = []  # taken, and neither acknowledged nor on disk
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upturn-client", daemon=True)
        self._busy = False

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether nothing waits in memory."""
        return not self._busy and not len(self._outbox)

    def close(self, timeout_s: float) -> None:
        """Sends what can be sent in time, and writes the rest to disk. Returns in about that time
        even where the network hangs."""
        self._closing.set()
        self._outbox.enough.set()
        self._outbox.some.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            # It hangs in the network with a batch in hand. Should that batch still arrive, the
            # collector will know it when it comes again.
            self._keep(self._in_hand)
            self._keep_all()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._wait()
                self._busy = True
                self._move()
            except Exception as error:  # nothing in here may end the thread, or be seen outside
                self._counts.swallow(error)
                self._keep(self._in_hand)
                self._in_hand = []
                self._closing.wait(1.0)
            finally:
                self._busy = False
        try:
            self._last_moves()
        except Exception as error:  # as above
            self._counts.swallow(error)
        finally:
            if self._delivery is not None:
                self._delivery.close()

    def _wait(self) -> None:
        """Waits for events, then for company, and at most as long as a pause lasts."""
        outbox = self._outbox
        pause = self._backoff.left(self._clock())
        if not len(outbox):
            on_disk = self._delivery is not None and self._waits_on_disk()
            outbox.some.clear()
            # A line may have come in before the flag was cleared.
            if not len(outbox) and not self._closing.is_set():
                outbox.some.wait((pause or self._options.linger_s) if on_disk else None)
        if len(outbox):
            outbox.enough.wait(self._linger(pause))
        if not self._closing.is_set():
            outbox.enough.clear()

    def _linger(self, pause: float) -> float:
        if self._delivery is None:
            return self._options.spill_linger_s
        return min(pause, self._options.spill_linger_s) if pause else self._options.linger_s

    def _waits_on_disk(self) -> bool:
        return self._spill is not None and bool(self._spill.segments())

    def _move(self) -> None:
        """One round: to the network if it is there, else to the disk."""
        if self._delivery is None:
            self._keep_all()
            return
        while self._can_send() and self._send_batch():
            pass
        if self._can_send():
            self._drain()
        elif self._spill is not None:
            self._keep_all()
        elif not self._closing.is_set():
            self._closing.wait(self._backoff.left(self._clock()))

    def _can_send(self) -> bool:
        return self._backoff.left(self._clock()) == 0

    def _send_batch(self) -> bool:
        """Sends one batch from memory; False where there was none, or it could not be sent."""
        assert self._delivery is not None
        self._in_hand = self._take()
        if not self._in_hand:
            return False
        left = self._delivery.send(self._in_hand)
        self._keep(left)
        self._in_hand = []
        return not left

    def _drain(self) -> None:
        """Sends the segments on disk, the oldest first, until new events come or one fails."""
        assert self._delivery is not None
        if self._spill is None:
            return
        for segment in self._spill.segments():
            lines, broken = self._spill.read(segment)
            if broken:
                self._counts.drop("broken_on_disk", broken)
            if self._delivery.send(lines):
                return
            self._spill.remove(segment)
            self._counts.add("drained", len(lines))
            if len(self._outbox) or self._closing.is_set():
                return

    def _take(self) -> list[bytes]:
        lines = self._outbox.take()
        if self._scrub is None:
            return lines
        scrubbed: list[bytes] = []
        for line in lines:
            try:
                scrubbed.append(self._scrub(line))
            except Exception as error:  # the application's own function
                self._counts.swallow(error)
                self._counts.drop("not_scrubbed")
        return scrubbed

    def _keep_all(self) -> None:
        while lines := self._take():
            self._in_hand = lines
            self._keep(lines)
            self._in_hand = []
            if self._spill is None and not self._closing.is_set():
                return

    def _keep(self, lines: list[bytes]) -> None:
        """Keeps lines that could not be sent: on disk, or else in memory."""
        if not lines:
            return
        if self._spill is None:
            lost = self._outbox.put_back(lines) if not self._closing.is_set() else len(lines)
            if lost:
                self._counts.drop("collector_away", lost)
            return
        try:
            written = self._spill.write(lines)
        except OSError as error:
            self._counts.swallow(error)
            self._counts.drop("disk_failed", len(lines))
            return
        if written:
            self._counts.add("spilled", len(lines))
        else:
            self._counts.drop("disk_limit", len(lines))

    def _last_moves(self) -> None:
        """What is left goes out, else to disk."""
        if self._delivery is not None:
            # Without a disk there is no later: then one try is made even in a pause.
            while (self._can_send() or self._spill is None) and self._send_batch():
                pass
        self._keep_all()
