"""One way to show progress: a bar on a terminal, log lines elsewhere. All of it goes to stderr."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Meter:
    """Counts up to a total.

    Args:
        title: what is being done.
        total: units of work.
        console: where to write; a terminal gets a bar, anything else one line per ``every_s``.
        every_s: seconds between log lines.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        title: str,
        total: int,
        *,
        console: Console | None = None,
        every_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title, self._total = title, total
        self._console = console or Console(stderr=True)
        self._every_s, self._clock = every_s, clock
        self._start = self._last = clock()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=total, note="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def at(self, done: int, note: str = "") -> None:
        """Reports that ``done`` units are behind us."""
        self._bar.update(self._task, completed=done, note=note)
        now = self._clock()
        due = done >= self._total or now - self._last >= self._every_s
        if due and not self._console.is_terminal:
            self._last = now
            self.say(f"{self._title} {done}/{self._total} {now - self._start:.0f}s {note}".rstrip())

    def say(self, line: str) -> None:
        """Writes a line of its own, above the bar where there is one."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
