"""Who is told what a worker says: a person (bar, lines) and the tracker (curves)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol, TypeVar

from upturn.errors import StorageError
from upturn.finetune.records import Event
from upturn.finetune.watch import Listener
from upturn.pipeline.progress import Progress, Silent
from upturn.records import Json
from upturn.tracking.jobs import JobTracker, Point

T = TypeVar("T")
#: Points that are logged together, and the longest wait for so many, in seconds of event time.
_POINTS, _WAIT_S = 400, 15.0
_STEP_CURVES = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "grad_norm": "train/grad_norm",
    "tokens": "train/tokens",
    "peak_mb": "system/peak_mb",
}
_EVAL_CURVES = {
    "score": "dev/score",
    "pair_accuracy": "dev/pair_accuracy",
    "margin": "dev/margin",
    "seconds": "dev/seconds",
    "failed": "dev/failed",
}


class TrainingProgress(Progress, Protocol):
    """As ``Progress``, with a bar that says more than a count."""

    def meter(self, name: str, total: int) -> AbstractContextManager[Callable[[int, str], None]]:
        """``with progress.meter(...) as tell: tell(step, text)``; the step is where it is now."""
        ...


class SilentTraining(Silent):
    """Says nothing. Implements ``TrainingProgress``."""

    def meter(self, name: str, total: int) -> AbstractContextManager[Callable[[int, str], None]]:
        """Counts for nobody."""
        return _Ignoring()


class _Ignoring:
    def __enter__(self) -> Callable[[int, str], None]:
        return lambda step, text: None

    def __exit__(self, *_: object) -> None:
        return None


class Several:
    """Tells several listeners. Implements ``Listener``."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    def event(self, event: Event) -> None:
        for listener in self._listeners:
            listener.event(event)


class Watcher:
    """Draws a training: a bar of steps, a line for each evaluation. Implements ``Listener``.

    Args:
        progress: where to.
        stack: closed when the training has ended, and the bar with it.
    """

    def __init__(self, progress: TrainingProgress, stack: ExitStack) -> None:
        self._progress, self._stack = progress, stack
        self._tell: Callable[[int, str], None] = lambda step, text: None
        self._loss = ""

    def event(self, event: Event) -> None:
        values = event.values
        if event.kind == "start":
            self._start(values)
        elif event.kind == "step":
            loss = values.get("loss")
            self._loss = f"loss {loss:.3f}" if isinstance(loss, int | float) else "loss ?"
            self._tell(int(values["step"]), self._loss)
        elif event.kind == "eval":
            self._progress.step("dev", _eval_line(values))
        elif event.kind == "warning":
            self._progress.step("warning", str(values.get("message", "")))
        elif event.kind == "stop":
            self._progress.step("stop", f"step {values.get('step')}: {values.get('reason')}")

    def _start(self, values: Json) -> None:
        self._stack.close()
        step, total = int(values.get("step") or 0), int(values.get("total_steps") or 0)
        where = f"{values.get('processes', 1)} x {values.get('device', '?')}"
        goes = f"goes on after step {step}" if step else f"{values.get('rows', '?')} rows"
        self._progress.step("train", f"{total} steps, {goes}, {where}")
        self._tell = self._stack.enter_context(self._progress.meter("train", total))
        self._tell(step, "")


def _eval_line(values: Json) -> str:
    score = values.get("score")
    text = f"step {values['step']}: " + ("no score" if score is None else f"{score:.3f}")
    text += f" on {values.get('rows', '?')} rows"
    if values.get("failed"):
        text += f" ({values['failed']} failed)"
    if values.get("pair_accuracy") is not None:
        text += f", pairs {values['pair_accuracy']:.3f}"
    return text


class Curves:
    """Logs a training's curves. Implements ``Listener``.

    A tracker that fails is asked nothing more: the training is worth more than its curves.

    Args:
        tracker: a job of it was started; None where it could not be.
        warn: told once, in a sentence, what was lost.
        missing: why there is no tracker from the start, "" where there is one.

    Attributes:
        missing: why curves are lost, "" where none are.
        run_id: of the tracker's run, "" where there is none.
    """

    def __init__(
        self, tracker: JobTracker | None, warn: Callable[[str], None], *, missing: str = ""
    ) -> None:
        self._tracker, self._warn, self.missing = tracker, warn, missing
        self.run_id = ""
        self._points: list[Point] = []
        self._tokens: tuple[float, float] | None = None

    def event(self, event: Event) -> None:
        if event.kind == "step":
            self._add(event, _STEP_CURVES)
            self._add_rate(event)
        elif event.kind == "eval":
            self._add(event, _EVAL_CURVES)
        waited = event.time - (self._points[0].time if self._points else event.time)
        if event.kind == "eval" or len(self._points) >= _POINTS or waited > _WAIT_S:
            self.flush()

    def flush(self) -> None:
        """Logs what is waiting."""
        points, self._points = self._points, []
        if points:
            self.ask(lambda tracker: tracker.log_points(points))

    def ask(self, what: Callable[[JobTracker], T]) -> T | None:
        """Asks the tracker; None where it is gone."""
        if self._tracker is None:
            return None
        try:
            return what(self._tracker)
        except StorageError as error:
            self._tracker, self.missing = None, error.what
            self._warn(f"{error.what}; the training goes on without its curves")
            return None

    def _add(self, event: Event, names: dict[str, str]) -> None:
        step = int(event.values["step"])
        for key, name in names.items():
            value = event.values.get(key)
            if isinstance(value, int | float):
                self._point(name, step, float(value), event.time)

    def _add_rate(self, event: Event) -> None:
        """Tokens a second since the step before; evaluations in between count as time, too."""
        tokens = event.values.get("tokens")
        if not isinstance(tokens, int | float):
            return
        before, self._tokens = self._tokens, (event.time, float(tokens))
        if before is None or event.time <= before[0] or tokens <= before[1]:
            return
        rate = (tokens - before[1]) / (event.time - before[0])
        self._point("system/tokens_per_s", int(event.values["step"]), rate, event.time)

    def _point(self, name: str, step: int, value: float, time: float) -> None:
        self._points.append(Point(name=name, step=step, value=value, time=time))
