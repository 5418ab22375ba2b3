"""Worker processes that draw batches while the accelerator computes.

With no workers batches are drawn in the training process: the same seed gives the same weights, and
a resumed run those of an uninterrupted one. With workers the order of batches is the machine's.
"""

from __future__ import annotations

import json
import multiprocessing
import queue
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from tokenizers import Tokenizer

from upturn.errors import UpturnError
from upturn.mini.batches import Batch, BatchSettings, BatchSource
from upturn.mini.corpus import Corpus
from upturn.mini.curriculum import Level, Stage
from upturn.mini.encode import Encoder
from upturn.mini.episodes import Hardness

_QUEUE = 48  # batches
_LEVEL_BYTES = 512


class Feed(Protocol):
    """Where batches come from. ``next`` may give batches of a slightly older level."""

    def next(self, level: Level) -> Batch: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


class WorkerFeed:
    """Batches from processes of their own; use it in a ``with`` statement.

    Args:
        corpus: path of the corpus; each worker reads it.
        tokenizer: path of tokenizer.json.
        settings: shapes and weights.
        seed: each worker's own seed derives from it, its number and ``start``.
        start: steps done before; a resumed run must not draw the first batches again.
        count: processes.
    """

    def __init__(
        self,
        corpus: Path,
        tokenizer: Path,
        settings: BatchSettings,
        *,
        seed: int,
        start: int,
        count: int,
    ) -> None:
        # Forking a process that holds torch's threads can deadlock.
        context = multiprocessing.get_context("spawn")
        self._queue: Any = context.Queue(_QUEUE)
        self._level: Any = context.Array("c", _LEVEL_BYTES)
        self._processes = [
            context.Process(
                target=_work,
                args=(corpus, tokenizer, settings, f"{seed}/{start}/{k}", self._queue, self._level),
                daemon=True,
            )
            for k in range(count)
        ]

    def __enter__(self) -> Self:
        for process in self._processes:
            process.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.terminate()
            process.join()
        self._queue.close()

    def next(self, level: Level) -> Batch:
        """Returns a batch of the level's stage.

        Raises:
            UpturnError: a worker has ended; its own message is on stderr.
        """
        self._level.value = json.dumps(asdict(level)).encode()
        while True:
            try:
                batch: Batch = self._queue.get(timeout=5.0)
            except queue.Empty:
                self._check()
                continue
            if batch.stage == level.stage:
                return batch

    def state(self) -> dict[str, Any]:
        """Returns nothing: what workers have drawn ahead cannot be taken back."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Does nothing: ``start`` gives a resumed run fresh batches."""

    def _check(self) -> None:
        dead = [p.exitcode for p in self._processes if p.exitcode is not None]
        if dead:
            raise UpturnError(f"workers must live as long as the training, exit codes {dead}")


def _work(
    corpus: Path, tokenizer: Path, settings: BatchSettings, seed: str, out: Any, level: Any
) -> None:
    encoder = Encoder(Tokenizer.from_file(str(tokenizer)))
    source = BatchSource(Corpus.read(corpus), encoder, settings, seed=seed)
    while True:
        raw = level.value
        if raw:
            out.put(source.next(_level(json.loads(raw))))


def _level(value: dict[str, Any]) -> Level:
    value["stage"] = Stage(value["stage"])
    value["hardness"] = Hardness(**value["hardness"])
    return Level(**value)
