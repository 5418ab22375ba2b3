"""What a worker's events add up to, and how a worker is followed until it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from upturn.finetune.folder import EventReader
from upturn.finetune.launch.base import Running
from upturn.finetune.records import Event, Exit
from upturn.records import Json

POLL_S = 0.2
#: How long a worker that stalled may take to end on its own.
LAST_WORDS_S = 5.0


class Listener(Protocol):
    """Told what a worker says, from the thread that follows it."""

    def event(self, event: Event) -> None:
        """An event, in order."""
        ...


@dataclass(kw_only=True)
class Story:
    """What is known of a training so far; live.

    Attributes:
        start: values of the first "start" event; ``resumed_from`` the step it went on from.
        step: the last step that was done; ``total_steps`` of the job.
        evals: values of each "eval" event; of a step that was evaluated again, the last.
        warnings: their messages.
        error, stop, done: values of the last such event, or None.
        peak_mb: highest that any event told, in MB.
        tokens: trained on, by the last count.
    """

    start: dict[str, Json] = field(default_factory=dict)
    resumed_from: int = 0
    total_steps: int = 0
    step: int = 0
    evals: dict[int, dict[str, Json]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    error: dict[str, Json] | None = None
    stop: dict[str, Json] | None = None
    done: dict[str, Json] | None = None
    peak_mb: float | None = None
    tokens: int = 0

    def add(self, event: Event) -> None:
        """Takes one event in."""
        values = dict(event.values)
        peak = values.get("peak_mb")
        if isinstance(peak, int | float):
            self.peak_mb = max(self.peak_mb or 0.0, float(peak))
        take: Callable[[dict[str, Any]], None] = getattr(self, f"_{event.kind}", lambda _: None)
        take(values)

    def fresh_attempt(self) -> None:
        """Forgets how the attempt before ended; what it measured stays."""
        self.error = self.stop = self.done = None

    def _start(self, values: dict[str, Any]) -> None:
        self.start = self.start or values
        self.resumed_from = self.step = int(values.get("step") or 0)
        self.total_steps = int(values.get("total_steps") or 0)

    def _step(self, values: dict[str, Any]) -> None:
        self.step = int(values["step"])
        self.tokens = int(values.get("tokens") or self.tokens)

    def _eval(self, values: dict[str, Any]) -> None:
        self.evals[int(values["step"])] = values

    def _warning(self, values: dict[str, Any]) -> None:
        self.warnings.append(str(values.get("message", "")))

    def _error(self, values: dict[str, Any]) -> None:
        self.error = values

    def _stop(self, values: dict[str, Any]) -> None:
        self.stop = values
        self.step = int(values.get("step") or self.step)

    def _done(self, values: dict[str, Any]) -> None:
        self.done = values
        self.step = int(values.get("step") or self.step)


@dataclass(frozen=True, kw_only=True)
class Follower:
    """Follows a worker.

    Attributes:
        stall_s: without an event for so long, it counts as stalled and is ended. The worker's own
            watchdog knows more and bites first: this one is for a worker that hangs as a whole.
        listener: told each event.
        clock, sleep: monotonic seconds, and a wait in seconds.
    """

    stall_s: float
    listener: Listener
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def follow(self, running: Running, reader: EventReader, story: Story) -> Exit | int:
        """Returns how the worker ended: a code of its contract, or that of a crash.

        ``Exit.STALLED`` where it had to be ended.
        """
        last = self.clock()
        while (code := running.poll()) is None:
            if self._read(reader, story):
                last = self.clock()
            elif self.clock() - last > self.stall_s:
                self._end(running)
                self._read(reader, story)
                return Exit.STALLED
            self.sleep(POLL_S)
        self._read(reader, story)
        return ending(code, story)

    def _read(self, reader: EventReader, story: Story) -> bool:
        events = reader.read()
        for event in events:
            story.add(event)
            self.listener.event(event)
        return bool(events)

    def _end(self, running: Running) -> None:
        running.stop()
        until = self.clock() + LAST_WORDS_S
        while running.poll() is None and self.clock() < until:
            self.sleep(POLL_S)
        running.kill()


def ending(code: int, story: Story) -> Exit | int:
    """Returns what an exit code means.

    torchrun, batch systems and clusters give codes of their own: then the last events decide.
    """
    if code in set(Exit):
        return Exit(code)
    told = (story.error or story.stop or {}).get("exit")
    if told in set(Exit):
        return Exit(told)
    if story.stop is not None and story.stop.get("reason") != "early_stopping":
        return Exit.STOPPED
    return code
