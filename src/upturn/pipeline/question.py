"""What a turn asks: known before anything is paid for, and hashed into its id."""

from __future__ import annotations

from dataclasses import dataclass, field

from upturn.datasets import Snapshot
from upturn.pipeline.canary.watching import Watch
from upturn.pipeline.elsewhere import Task
from upturn.pipeline.suites import Standing
from upturn.pipeline.weights import Weights


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a turn asks.

    Attributes:
        turn: its id.
        snapshot: the rows.
        weights: the adapters that may be chosen, and that of what runs now.
        tasks: other tasks that an adapter must not unlearn.
        suites: rows that a challenger must pass whatever its score is.
        watch: what is known of the judge and of the models behind their names.
    """

    turn: str
    snapshot: Snapshot
    weights: Weights = field(default_factory=Weights)
    tasks: tuple[Task, ...] = ()
    suites: tuple[Standing, ...] = ()
    watch: Watch = field(default_factory=Watch)
