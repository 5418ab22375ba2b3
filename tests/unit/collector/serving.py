"""A collector in a process of its own, with limits and a store as a test wants them.

``python -m tests.unit.collector.serving '{"limits": {…}, "until_there": null}'``
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
URL = re.compile(r"listening on (http://\S+)")


@dataclass
class Running:
    """A process that listens, and all that it has printed on stderr."""

    process: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list)
    _listening: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def err(self) -> str:
        return "".join(self.lines)

    def wait(self, timeout_s: float = 120) -> int:
        return self.process.wait(timeout_s)

    def read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            found = URL.search(line)
            if found:
                self.url = found[1]
                self._listening.set()
        self._listening.set()

    def listening(self) -> None:
        assert self._listening.wait(120), self.err
        assert self.url, self.err


@contextmanager
def process(command: Sequence[str], **more: Any) -> Iterator[Running]:
    """A process that is always ended, however the test does."""
    running = Running(
        subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, **more
        )
    )
    reader = threading.Thread(target=running.read)
    reader.start()
    try:
        running.listening()
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait()
        reader.join()
        assert running.process.stderr is not None
        running.process.stderr.close()


@contextmanager
def serving(*, until_there: Path | None = None, **limits: float) -> Iterator[Running]:
    """A collector over a store in memory; anybody may send.

    Its store takes nothing until a file is there, where one is named.
    """
    asked = json.dumps({"limits": limits, "until_there": until_there and str(until_there)})
    with process([sys.executable, "-m", __name__, asked], cwd=ROOT) as running:
        yield running


def _main(asked: dict[str, Any]) -> None:
    from tests.unit.collector.stores import MemoryStore
    from upturn.collector.app import Collector
    from upturn.collector.limits import Limits
    from upturn.collector.server import bind, serve
    from upturn.collector.tokens import TokenBook

    path = asked["until_there"]
    store = MemoryStore(until_there=None if path is None else Path(path))
    limits = Limits(**asked["limits"])
    collector = Collector(store=store, book=TokenBook(None), scrub=lambda e: e, limits=limits)
    with bind("127.0.0.1", 0) as bound:
        serve(collector, bound, ready=lambda u: print(f"listening on {u}", file=sys.stderr))
    print(f"stored {len(store.rows)}", file=sys.stderr)


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
