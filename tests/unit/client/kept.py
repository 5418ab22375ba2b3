"""A client whose events a test can read: they stay in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from upturn.client import Client, Options


class Kept:
    """A client without a collector, and what it has written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # An end that runs out of time writes again what the thread is about to write.
        options = Options(spill_linger_s=0.0, exit_s=120.0)
        self.client = Client(None, spill=folder, options=options, environment={})

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events so far, in the order they were recorded. Ends the client."""
        self.client.close()
        files = sorted(self._folder.glob("*.jsonl"))
        return [json.loads(line) for f in files for line in f.read_text().splitlines()]


@contextmanager
def keeping(folder: Path) -> Iterator[Kept]:
    kept = Kept(folder)
    try:
        yield kept
    finally:
        kept.client.close()
