"""A training as a person or a log sees it: loss, rate and time left. Everything goes to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from upturn.cli.console import LineLog, Terminal

#: A log gets a line at each tenth of a training, and at the end.
_LINES = 10


class TrainingLog(LineLog):
    """One line a tenth. Implements ``TrainingProgress``."""

    @contextmanager
    def meter(self, name: str, total: int) -> Generator[Callable[[int, str], None]]:
        """Prints the step, what is said of it, the rate and the time left."""
        pace = Pace()
        printed = -1

        def tell(step: int, text: str) -> None:
            nonlocal printed
            if text:
                pace.at(step)
            tenth = step * _LINES // total if total else step
            if tenth != printed and text:
                printed = tenth
                self.step(name, f"{step} of {total}  {text}  {pace.text(total)}".rstrip())

        yield tell


class TrainingTerminal(Terminal):
    """A bar. Implements ``TrainingProgress``."""

    @contextmanager
    def meter(self, name: str, total: int) -> Generator[Callable[[int, str], None]]:
        """Draws a bar with what is said of the step, the rate and the time left."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (
            TextColumn("        {task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}", markup=False),
            TextColumn("{task.fields[pace]}"),
        )
        pace = Pace()
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(name, total=total or None, said="", pace="")

            def tell(step: int, text: str) -> None:
                if text:
                    pace.at(step)
                progress.update(task, completed=step, said=text, pace=pace.text(total))

            yield tell


class Pace:
    """Steps a second since the first one that was done, and the time left.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[int, float] | None = None
        self._now = (0, 0.0)

    def at(self, step: int) -> None:
        """Notes the step that was done just now."""
        self._now = (step, self._clock())
        self._first = self._first or self._now

    def text(self, total: int) -> str:
        """Returns ``"1.8 steps/s, 0:42 left"``, or "" where nothing is known yet."""
        if self._first is None:
            return ""
        steps, seconds = self._now[0] - self._first[0], self._now[1] - self._first[1]
        if steps <= 0 or seconds <= 0:
            return ""
        left = round((total - self._now[0]) * seconds / steps)
        return f"{steps / seconds:.2g} steps/s, {left // 60}:{left % 60:02d} left"


def training_progress() -> TrainingLog | TrainingTerminal:
    """A bar where a person watches, lines elsewhere."""
    return TrainingTerminal() if sys.stderr.isatty() else TrainingLog()
