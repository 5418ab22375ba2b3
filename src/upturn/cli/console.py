"""What a person or a log sees. Everything here goes to stderr: stdout is for answers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

#: Fields printed in full precision go through JSON; text is for people.
Json = Any


class LineLog:
    """One line a step, with seconds since the start: for cron, CI and pipes."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def step(self, name: str, detail: str = "") -> None:
        """Prints one line."""
        seconds = time.monotonic() - self._start
        print(f"[{seconds:6.1f}s] {name:<10} {detail}".rstrip(), file=sys.stderr, flush=True)

    @contextmanager
    def bar(self, name: str, total: int) -> Generator[Callable[[int], None]]:
        """Counts silently and prints one line at the end."""
        done = 0

        def advance(n: int) -> None:
            nonlocal done
            done += n

        yield advance
        self.step(name, f"{done} of {total}" if total else str(done))


class Terminal:
    """Steps as lines, counted work as a bar that disappears when it is done."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._start = time.monotonic()

    def step(self, name: str, detail: str = "") -> None:
        """Prints one line."""
        from rich.text import Text

        line = Text.assemble(
            (f"{time.monotonic() - self._start:6.1f}s ", "dim"),
            (f"{name:<10} ", "bold cyan"),
            detail,
        )
        self._console.print(line, soft_wrap=True)

    @contextmanager
    def bar(self, name: str, total: int) -> Generator[Callable[[int], None]]:
        """Draws a bar with rate and time left."""
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("        {task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(name, total=total or None, rate="")
            started, done = time.monotonic(), 0

            def advance(n: int) -> None:
                nonlocal done
                done += n
                rate = done / max(time.monotonic() - started, 1e-6)
                progress.update(task, advance=n, rate=f"{rate:.0f}/s")

            yield advance
        self.step(name, str(done))


def progress() -> LineLog | Terminal:
    """A bar where a person watches, lines elsewhere."""
    return Terminal() if sys.stderr.isatty() else LineLog()


def answer(value: Json) -> None:
    """Prints one JSON object on stdout, on one line."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False), flush=True)


def answer_lines(values: Iterable[Json]) -> None:
    """Prints a JSON object a line on stdout; there may be millions, so nothing is flushed."""
    import orjson

    for value in values:
        try:
            line = orjson.dumps(value).decode()
        except TypeError:  # a label may be an integer of more than 64 bits
            line = json.dumps(value, ensure_ascii=False, allow_nan=False)
        print(line)


def say(text: str = "") -> None:
    """Prints text for a person on stdout; user text in it is never markup."""
    print(text, flush=True)


def table(columns: list[str], rows: list[list[str]]) -> None:
    """Prints a table on stdout."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(made)
