"""The outside of a turn, one seam each: tests put fakes where ``pipeline.world`` puts the real."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from upturn.lm.connect import Connection
from upturn.lm.engine import Answers, Metering
from upturn.pipeline.parts import Parts
from upturn.pipeline.progress import Progress
from upturn.registry import Registry
from upturn.tracking import Tracker


@dataclass(frozen=True, kw_only=True)
class World:
    """The outside, one seam each.

    Attributes:
        identify: the model's id, weights included, without loading it.
        connect: opens the model with a cache and a meter; the turn closes it.
        store: opens tracker and registry; the turn closes them.
        clock: the time now, with zone.
        progress: told what happens.
        who: who runs this, for the ledger.
        worker_engine: ``file.py:factory`` of an engine that workers of a cluster use in place of
            the model's own; None outside tests.
    """

    identify: Callable[[Parts], str]
    connect: Callable[[Parts, Answers, Metering], Connection]
    store: Callable[[Parts], AbstractContextManager[tuple[Tracker, Registry]]]
    clock: Callable[[], datetime]
    progress: Progress
    who: str
    worker_engine: str | None = None
