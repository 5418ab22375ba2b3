"""What happens around each step: where it goes on from, guards, evaluation, checkpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from transformers import TrainerCallback

from upturn.finetune.records import Exit
from upturn.finetune.worker import rng
from upturn.finetune.worker.checkpoints import STATE, Checkpoint, Checkpoints
from upturn.finetune.worker.evaluation import Evaluations, InterruptedEvaluation
from upturn.finetune.worker.events import Events
from upturn.finetune.worker.guards import Halt, LossWatch, Signals, Watchdog, check_gradients
from upturn.finetune.worker.hooks import Hooks
from upturn.finetune.worker.inputs import Task
from upturn.finetune.worker.memory import device_peak_mb, peak_mb
from upturn.finetune.worker.model import adapter_files
from upturn.finetune.worker.optimizer import (
    OPTIMIZER,
    optimizer_state,
    restore_optimizer,
    restore_schedule,
    schedule_state,
)
from upturn.finetune.worker.processes import Processes
from upturn.finetune.worker.standing import Standing
from upturn.records import Json, canonical_json

_KEPT = 2
#: Why a step may be the last one before its time, by the number that processes agree on.
_MEMORY, _MINUTES, _SIGNAL = 1, 2, 3


@dataclass(kw_only=True)
class Means:
    """What the loop works with, made once.

    Attributes:
        task, events, hooks, processes, signals, checkpoints: as their types say.
        evaluations: of the model in training.
        watchdog: told that something moved.
        started: monotonic seconds, for ``max_minutes``.
    """

    task: Task
    events: Events
    hooks: Hooks
    processes: Processes
    signals: Signals
    checkpoints: Checkpoints
    evaluations: Evaluations
    watchdog: Watchdog
    started: float = field(default_factory=time.monotonic)


class Loop(TrainerCallback):
    """Follows a trainer from the step after ``found`` to the end.

    Args:
        trainer: over the samples that are left.
        means: what it works with.
        found: the checkpoint to go on from; the adapter is set by whoever made the trainer.
    """

    def __init__(self, trainer: Any, means: Means, found: Checkpoint | None) -> None:
        self._trainer, self._means, self._found = trainer, means, found
        state: Mapping[str, Any] = found.state if found else {}
        self.step = found.step if found else 0
        self.standing = Standing.from_json(state["standing"]) if found else Standing()
        self._losses = LossWatch(**state["losses"]) if found else LossWatch()
        self._saved: list[int] = list(state["saved"]) if found else []
        self._rng: Json = state["rng"] if found else None

    @property
    def finished(self) -> bool:
        """Whether no step is left: all are done, or nothing got better for too long."""
        done = self.step >= self._means.task.total_steps
        return done or self.gave_up

    @property
    def gave_up(self) -> bool:
        """Whether evaluations stopped getting better."""
        return self.standing.gives_up(self._means.task.spec.evaluation.patience)

    def settle(self) -> None:
        """Makes the evaluation that is due here: of the start, or one that was interrupted."""
        if self._means.task.evaluates(self.step) and self.standing.last < self.step:
            self._evaluate()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._means.watchdog.beat()
        if self._found is not None:
            state.global_step = self.step
            groups = self._found.state["optimizer"]
            restore_optimizer(self._trainer.optimizer, self._found.folder, groups)
            restore_schedule(self._trainer.lr_scheduler, self._found.state["schedule"])
        if self._means.processes.highest(int(self._means.signals.asked()), args.device):
            raise self._stopped("signal")

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._rng is not None:
            # Not before: making the loader's iterator draws, too.
            rng.restore(self._rng[self._means.processes.rank])
            self._rng = None

    def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._means.watchdog.beat()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        step = state.global_step + 1
        self._means.hooks.before_optimizer(step, self._trainer.model)
        check_gradients(self._trainer.model, step)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Comes after each step, with its loss; once more at the end, without."""
        if not logs or "loss" not in logs:
            return
        means, step = self._means, state.global_step
        self.step = step
        means.watchdog.beat()
        means.hooks.step_done(step)
        self._losses.take(step, logs["loss"])
        self._say_step(logs)
        reason = means.processes.highest(self._reason(), args.device)
        evaluated = reason != _SIGNAL and means.task.evaluates(step) and self._evaluate()
        # A signal may have come while rows were being answered.
        reason = max(reason, means.processes.highest(self._reason(), args.device))
        if evaluated or reason or means.task.saves(step):
            self._save()
        if self.finished:
            control.should_training_stop = True
        elif reason:
            raise self._end(reason)

    def _reason(self) -> int:
        run, means = self._means.task.spec.run, self._means
        minutes = (time.monotonic() - means.started) / 60
        if means.signals.asked():
            return _SIGNAL
        if run.max_minutes is not None and minutes > run.max_minutes:
            return _MINUTES
        return _MEMORY if run.max_memory_mb is not None and peak_mb() > run.max_memory_mb else 0

    def _end(self, reason: int) -> Halt:
        if reason != _MEMORY:
            return self._stopped("signal" if reason == _SIGNAL else "max_minutes")
        cap = self._means.task.spec.run.max_memory_mb
        return Halt(
            Exit.MEMORY,
            "error",
            step=self.step,
            message=f"memory must stay under max_memory_mb={cap:g}, got {peak_mb():.0f}",
            where="run.max_memory_mb",
            fix="halve optim.per_device_train_batch_size and double gradient_accumulation_steps",
        )

    def _stopped(self, reason: str) -> Halt:
        return Halt(Exit.STOPPED, "stop", step=self.step, reason=reason)

    def _say_step(self, logs: Mapping[str, float]) -> None:
        device = device_peak_mb(self._trainer.args.device)
        self._means.events.say(
            "step",
            step=self.step,
            loss=logs["loss"],
            learning_rate=logs.get("learning_rate"),
            grad_norm=logs.get("grad_norm"),
            tokens=self._means.task.tokens(self.step),
            peak_mb=peak_mb(),
            **({} if device is None else {"device_peak_mb": device}),
        )

    def _evaluate(self) -> bool:
        """Evaluates on the first process; all take the result in. Returns whether it was made."""
        means = self._means
        if not means.evaluations.any:
            return False
        found = None
        with suppress(InterruptedEvaluation):
            found = means.evaluations.measure(self.step) if means.processes.first else None
        found = means.processes.share(found)
        means.watchdog.beat()
        if found is None:
            return False
        self.standing.take(found)
        means.events.say("eval", **found.said())
        return True

    def _save(self) -> None:
        means = self._means
        states = means.processes.gather(rng.capture())
        if means.processes.first:
            self._saved = [*(s for s in self._saved if s != self.step), self.step][-_KEPT:]
            path = means.checkpoints.save(self.step, self._files(states))
            means.events.say("checkpoint", step=self.step, path=str(path))
            means.checkpoints.prune(self._needed())
        means.watchdog.beat()

    def _files(self, states: list[Json]) -> dict[str, bytes]:
        tensors, groups = optimizer_state(self._trainer.optimizer)
        task = self._means.task
        state = {
            "step": self.step,
            "total_steps": task.total_steps,
            "batch": task.batch,
            "base_id": task.work.base_id,
            "standing": self.standing.to_json(),
            "losses": self._losses.to_json(),
            "saved": self._saved,
            "optimizer": groups,
            "schedule": schedule_state(self._trainer.lr_scheduler),
            "rng": states,
        }
        return {
            **adapter_files(self._trainer.model, task.work),
            OPTIMIZER: tensors,
            STATE: canonical_json(state).encode(),
        }

    def _needed(self) -> set[int]:
        """The last checkpoints, and the best evaluation's that each of them knows of."""
        return {self.step, *self._saved, *self._bests()}

    def _bests(self) -> set[int]:
        best = {self.standing.best.step} if self.standing.best else set[int]()
        for step in self._saved[:-1]:
            known = self._known_best(step)
            best |= set() if known is None else {known}
        return best

    def _known_best(self, step: int) -> int | None:
        try:
            state = json.loads((self._means.checkpoints.at(step) / STATE).read_text())
            best = state["standing"]["best"]
            return None if best is None else int(best["step"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
