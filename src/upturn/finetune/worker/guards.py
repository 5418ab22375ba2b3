"""What ends a training before its time: bad numbers, caps, signals, and a step that never ends."""

from __future__ import annotations

import faulthandler
import math
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch

from upturn.finetune.records import EventKind, Exit
from upturn.records import Json

#: A loss diverges when its mean over so many steps is above so many times the best such mean,
#: and above that by a margin as well, so that losses near zero may wander.
WINDOW, FACTOR, MARGIN = 20, 3.0, 0.5


class Halt(Exception):  # noqa: N818 - a signal or a cap is no error
    """Ends the training with an exit code and the event that says why."""

    def __init__(self, exit_code: Exit, kind: EventKind, **values: Json) -> None:
        super().__init__(values.get("message") or values.get("reason") or exit_code.name)
        self.exit_code = exit_code
        self.kind: EventKind = kind
        self.values: dict[str, Json] = {**values, "exit": int(exit_code)}


class LossWatch:
    """Sees losses that are no numbers, and losses that run away.

    Args:
        losses: the last ones, where a training goes on.
        best: lowest mean over ``WINDOW`` steps so far.
    """

    def __init__(self, losses: list[float] | None = None, best: float | None = None) -> None:
        self._losses: deque[float] = deque(losses or [], maxlen=WINDOW)
        self.best = best

    def take(self, step: int, loss: float) -> None:
        """Takes a step's loss in.

        Raises:
            Halt: it is not finite, or the losses diverge.
        """
        if not math.isfinite(loss):
            raise numbers(step, f"the loss must be finite, got {loss}")
        self._losses.append(loss)
        if len(self._losses) < WINDOW:
            return
        mean = sum(self._losses) / WINDOW
        self.best = mean if self.best is None else min(self.best, mean)
        limit = FACTOR * self.best + MARGIN
        if mean > limit:
            raise numbers(
                step,
                f"the mean loss of {WINDOW} steps must stay under {FACTOR:g} x its best "
                f"({self.best:.3g}) + {MARGIN:g} = {limit:.3g}, got {mean:.3g}: it diverges",
            )

    def to_json(self) -> dict[str, Json]:
        return {"losses": list(self._losses), "best": self.best}


def numbers(step: int, message: str) -> Halt:
    """Returns the end of a training whose numbers went wrong at a step."""
    return Halt(
        Exit.NUMBERS,
        "error",
        step=step,
        message=message,
        where=f"step {step}",
        fix="lower optim.learning_rate, or look at the rows of that step; then run it again",
    )


def check_gradients(model: Any, step: int) -> None:
    """Raises Halt, before the optimizer spoils the weights, if a gradient is not finite."""
    found = [p.grad for p in model.parameters() if p.grad is not None]
    if found and not torch.isfinite(torch.nn.utils.get_total_norm(found)).item():
        names = [
            n
            for n, p in model.named_parameters()
            if p.grad is not None and not torch.isfinite(p.grad).all()
        ]
        which = f" ({len(names)} tensors, the first is {names[0]})" if names else ""
        raise numbers(step, f"gradients must be finite, and are not{which}")


class Signals:
    """Notes SIGTERM and SIGINT inside a ``with`` block, so that the step can be finished.

    Only the main thread of a process gets signals: elsewhere nothing is noted.
    """

    def __init__(self) -> None:
        self.name = ""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def asked(self) -> bool:
        """Whether somebody asked to stop."""
        return bool(self.name)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name


class Watchdog:
    """Ends the process when nothing has moved for too long: a loader or a step that hangs.

    Nothing else can: the thread that hangs cannot raise, so the process leaves at once, and the
    last checkpoint stands.

    Args:
        seconds: longest time without a ``beat``.
        last_words: called before the process ends.
        leave: ends the process.
    """

    def __init__(
        self,
        seconds: float,
        last_words: Callable[[], None],
        *,
        leave: Callable[[int], Any] = os._exit,
    ) -> None:
        self._seconds, self._last_words, self._leave = seconds, last_words, leave
        self._beat = time.monotonic()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="upturn-watchdog", daemon=True)

    def beat(self) -> None:
        """Says that something moved."""
        self._beat = time.monotonic()

    def __enter__(self) -> Watchdog:
        self.beat()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(min(5.0, self._seconds / 4)):
            if time.monotonic() - self._beat > self._seconds:
                self._last_words()
                faulthandler.dump_traceback()
                self._leave(int(Exit.STALLED))
                return
