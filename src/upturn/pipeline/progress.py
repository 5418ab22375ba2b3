"""How a turn tells what it is doing. The terminal draws bars; a log gets one line a step."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """Told by the pipeline; implemented by the command line, silent in tests."""

    def step(self, name: str, detail: str = "") -> None:
        """A step ended or a fact is known: one line."""
        ...

    def bar(self, name: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """A counted piece of work: ``with progress.bar(...) as advance: advance(n)``."""
        ...


class Silent:
    """Says nothing."""

    def step(self, name: str, detail: str = "") -> None:
        """Ignored."""

    @contextmanager
    def bar(self, name: str, total: int) -> Generator[Callable[[int], None]]:
        """Counts for nobody."""
        yield lambda n: None
