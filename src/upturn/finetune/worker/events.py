"""What the worker says while it works: one JSON line for each event, flushed."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from upturn.finetune.records import Event, EventKind
from upturn.records import Json


class Events:
    """Appends to ``events.jsonl``.

    Args:
        path: the file.
        speaks: False on all processes but the first; errors are said by any.
        clock: seconds since the epoch.
    """

    def __init__(
        self, path: Path, *, speaks: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._speaks = speaks
        self._clock = clock

    def say(self, kind: EventKind, **values: Json) -> None:
        """Writes one event. A number that is not finite becomes null.

        A full disk costs the event, not the training: what matters is in the exit code as well.
        """
        if not (self._speaks or kind == "error"):
            return
        event = Event(
            kind=kind, time=self._clock(), values={k: _plain(v) for k, v in values.items()}
        )
        line = json.dumps(event.to_json(), ensure_ascii=False, allow_nan=False) + "\n"
        try:
            # One write of one line: processes of one job do not mix theirs.
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(file, line.encode())
            finally:
                os.close(file)
        except OSError as error:
            print(f"{self._path}: {error}: {line}", end="", file=sys.stderr)


def _plain(value: Json) -> Json:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
