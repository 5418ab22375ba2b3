"""How a training ends when it does not end well: exit code and events -> an error that says it."""

from __future__ import annotations

import signal
from collections import deque
from dataclasses import dataclass

from upturn.errors import BudgetExceededError, InputError, StoppedError, TrainingError, UpturnError
from upturn.finetune.folder import JobFolder
from upturn.finetune.records import Exit, WorkOrder
from upturn.finetune.watch import Story

_LAST_LINES = 12
_CAPS = ("max_minutes", "max_memory_mb")


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How one attempt at a training ended.

    Attributes:
        code: what the worker's exit means.
        stopped: whether this process was asked to stop it.
        order: what the worker was told.
        folder: the job's.
        story: what it said.
        halved: whether the batch was halved before.
    """

    code: Exit | int
    stopped: bool
    order: WorkOrder
    folder: JobFolder
    story: Story
    halved: bool = False

    def error(self) -> UpturnError:
        """Returns the error for this ending. Only for one that is no success."""
        code, told = self.code, self.story.error
        if code == Exit.NUMBERS:
            return self._numbers()
        if code == Exit.MEMORY:
            return self._memory()
        if code == Exit.DISK:
            return self._disk()
        if code == Exit.STALLED:
            return self._stalled()
        if code == Exit.STOPPED or self.stopped:
            return self._stopped()
        if code == Exit.INPUT and told is not None:
            return InputError(
                str(told.get("message", "")),
                where=str(told.get("where", "")),
                fix=str(told.get("fix", "")),
            )
        return self._crash()

    def _numbers(self) -> UpturnError:
        said = self._said("the loss or a gradient is not finite, or the loss runs away")
        rate = self.order.spec.optim.learning_rate
        return TrainingError(
            f"step {self._failed_step()}: {said}; trained with learning_rate {rate:g}",
            where=str(self.folder.path),
            fix=f"optim.learning_rate={rate / 3:.1e} --branch NEW_NAME; {self._stands()}",
        )

    def _memory(self) -> UpturnError:
        optim = self.order.spec.optim
        size = optim.per_device_train_batch_size
        tried = "after the batch was halved once" if self.halved else "and a batch cannot be halved"
        return TrainingError(
            f"step {self.story.step}: {self._said('memory is out')}, {tried} "
            f"(per_device_train_batch_size {size}, max_length {optim.max_length})",
            where=str(self.folder.path),
            fix="a smaller optim.per_device_train_batch_size with as much more "
            "optim.gradient_accumulation_steps goes on with the same job; or "
            "optim.gradient_checkpointing=true or a smaller optim.max_length in a new one",
        )

    def _disk(self) -> UpturnError:
        said = self._said("a checkpoint could not be written")
        return TrainingError(
            f"step {self.story.step}: {said}",
            where=str(self.folder.path),
            fix=f"free the disk and run the same command: {self._stands()}",
        )

    def _stalled(self) -> UpturnError:
        minutes = self.order.spec.run.stall_minutes
        said = self._said(f"the worker said nothing for far more than stall_minutes={minutes:g}")
        return TrainingError(
            f"stalled after step {self.story.step}: {said}; it was ended\n{self._tail()}",
            where=str(self.folder.log),
            fix=f"run the same command: {self._stands()}; run.stall_minutes={minutes * 3:g} "
            "where a step may take so long",
        )

    def _stopped(self) -> UpturnError:
        reason = str((self.story.stop or {}).get("reason") or "signal")
        where = str(self.folder.path)
        if reason in _CAPS:
            value = getattr(self.order.spec.run, reason)
            return BudgetExceededError(
                f"stopped at step {self.story.step}: run.{reason}={value:g} is reached",
                where=where,
                fix=f"run.{reason}=MORE goes on: {self._stands()}",
            )
        return StoppedError(
            f"stopped at step {self.story.step} of {self.story.total_steps}",
            where=where,
            fix=f"run the same command: {self._stands()}",
        )

    def _crash(self) -> UpturnError:
        said = self._said("it did not say why")
        return TrainingError(
            f"the worker ended at step {self.story.step} with {_code_text(self.code)}: {said}; its "
            f"last lines:\n{self._tail()}",
            where=str(self.folder.log),
            fix=f"run the same command: {self._stands()}",
        )

    def _said(self, otherwise: str) -> str:
        return str((self.story.error or {}).get("message") or otherwise)

    def _failed_step(self) -> int:
        return int((self.story.error or {}).get("step") or self.story.step)

    def _stands(self) -> str:
        found = self.folder.newest_checkpoint()
        return "it starts over" if found is None else f"it goes on after step {found.step}"

    def _tail(self) -> str:
        try:
            with self.folder.log.open(encoding="utf-8", errors="replace") as file:
                lines = deque((s.rstrip() for s in file if s.strip()), maxlen=_LAST_LINES)
        except FileNotFoundError:
            return "  (it printed nothing)"
        return "\n".join(f"  {line[:300]}" for line in lines) or "  (it printed nothing)"


def _code_text(code: int) -> str:
    if code == Exit.DONE:
        return "exit code 0 but no result"
    if 128 < code < 128 + signal.NSIG:
        try:
            name = signal.Signals(code - 128).name
        except ValueError:
            return f"exit code {int(code)}"
        killed = " (often the system's, for want of memory)" if name == "SIGKILL" else ""
        return f"signal {name}{killed}"
    return f"exit code {int(code)}"
