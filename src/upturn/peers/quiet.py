"""Keeps DSPy's chatter off stdout, which is for answers, and its bars off a turn's own lines."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TextIO, cast


class _Nowhere(io.TextIOBase):
    """Takes text and forgets it."""

    def write(self, text: str, /) -> int:
        return len(text)


class WithoutBars:
    """A stream that drops what tqdm draws; everything else goes through.

    A bar is a text that starts with a carriage return; terminals' own control codes start with an
    escape behind it. The line break that ends a bar goes with it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = False

    def write(self, text: str) -> int:
        self._drawn = (text.startswith("\r") and not text.startswith("\r\x1b")) or (
            self._drawn and text == "\n"
        )
        return len(text) if self._drawn else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def quiet() -> Generator[None]:
    """Drops what is printed to stdout, progress bars, and DSPy's log lines: they hold whole rows.

    What matters is recorded: every failure is a row with its message.
    """
    logger = logging.getLogger("dspy")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    stderr = cast(TextIO, WithoutBars(sys.stderr))
    try:
        with contextlib.redirect_stdout(_Nowhere()), contextlib.redirect_stderr(stderr):
            yield
    finally:
        logger.setLevel(level)
