"""One training from its folder to ``final/``, or to an exit code that says what stands."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from upturn.errors import CorruptionError, DataError, UpturnError
from upturn.finetune.records import CHECKPOINTS, EVENTS, FINAL, Exit
from upturn.finetune.worker.checkpoints import (
    Checkpoint,
    Checkpoints,
    UnwrittenError,
    read,
    write_folder,
)
from upturn.finetune.worker.evaluation import Evaluations
from upturn.finetune.worker.events import Events
from upturn.finetune.worker.guards import Halt, Signals, Watchdog
from upturn.finetune.worker.hooks import Hooks
from upturn.finetune.worker.inputs import Task, read_task
from upturn.finetune.worker.loop import Loop, Means
from upturn.finetune.worker.memory import is_out_of_memory, peak_mb
from upturn.finetune.worker.model import adapter_files, load_tokenizer, set_adapter_tensors
from upturn.finetune.worker.processes import Processes
from upturn.finetune.worker.trainers import add, make_trainer
from upturn.records import Json
from upturn.weights.adapter import CONFIG, WEIGHTS


def train(folder: Path, *, hooks: Hooks | None = None) -> Exit:
    """Trains what a job's folder asks for; goes on from its newest complete checkpoint.

    Says everything in ``events.jsonl``. Returns DONE only when ``final/`` holds the adapter of the
    best evaluation and all steps were made, or evaluations had stopped getting better.

    Args:
        folder: see ``records``.
        hooks: what a test does to it.

    Raises:
        Exception: what is nobody's fault but ours; said as an "error" event first.
    """
    folder = Path(folder)
    processes = Processes.here()
    events = Events(folder / EVENTS, speaks=processes.first)
    try:
        with Signals() as signals:
            _train(folder, hooks or Hooks(), processes, events, signals)
    except Halt as halt:
        events.say(halt.kind, **halt.values)
        return halt.exit_code
    except UnwrittenError as error:
        return _failed(events, error, Exit.DISK)
    except UpturnError as error:
        return _failed(events, error, Exit.INPUT)
    except Exception as error:
        if is_out_of_memory(error):
            traceback.print_exc(file=sys.stderr)
            return _failed(events, _too_much(error), Exit.MEMORY)
        events.say("error", message=f"{type(error).__name__}: {error}", where="worker", fix="")
        raise
    finally:
        processes.leave()
    return Exit.DONE


def _train(
    folder: Path, hooks: Hooks, processes: Processes, events: Events, signals: Signals
) -> None:
    started = time.monotonic()
    task = read_task(folder, processes=processes.count)
    checkpoints = Checkpoints(folder / CHECKPOINTS, writing=hooks.writing)
    found = _found(checkpoints, task, events)
    tokenizer = load_tokenizer(task.work)
    trainer = make_trainer(task, tokenizer, done=found.step if found else 0)
    if found is not None:
        set_adapter_tensors(trainer.model, found.folder)
    with _watchdog(task, events) as watchdog:
        means = Means(
            task=task,
            events=events,
            hooks=hooks,
            processes=processes,
            signals=signals,
            checkpoints=checkpoints,
            evaluations=Evaluations(task, trainer, stopped=signals.asked, progress=watchdog.beat),
            watchdog=watchdog,
            started=started,
        )
        loop = Loop(trainer, means, found)
        _say_start(means, trainer, loop)
        loop.settle()
        if not loop.finished:
            add(trainer, loop)
            trainer.train()
        if not loop.finished:
            raise UpturnError(
                f"a training must make all its {task.total_steps} steps, it ended after {loop.step}"
            )
        if processes.first:
            _finish(loop, means, trainer)


def _found(checkpoints: Checkpoints, task: Task, events: Events) -> Checkpoint | None:
    """Returns the checkpoint to go on from.

    Raises:
        DataError: it was made with other rows in a step, or on another base.
    """
    found = checkpoints.newest(lambda message: events.say("warning", message=message))
    if found is None:
        return None
    now = {"batch": task.batch, "total_steps": task.total_steps, "base_id": task.work.base_id}
    for name, value in now.items():
        if found.state[name] != value:
            raise DataError(
                f"a checkpoint must be of this job: {name} was {found.state[name]}, is {value}",
                where=str(found.folder),
                fix="upturn train JOB --branch NAME starts a new job from it",
            )
    return found


@contextmanager
def _watchdog(task: Task, events: Events) -> Generator[Watchdog]:
    minutes = task.spec.run.stall_minutes

    def last_words() -> None:
        events.say(
            "error",
            message=f"a step must not take more than stall_minutes={minutes:g}; nothing moved",
            where="run.stall_minutes",
            fix="see the log for where each thread stands; run it again to go on",
            exit=int(Exit.STALLED),
        )

    with Watchdog(minutes * 60, last_words) as watchdog:
        yield watchdog


def _say_start(means: Means, trainer: Any, loop: Loop) -> None:
    args = trainer.args
    means.events.say(
        "start",
        total_steps=means.task.total_steps,
        step=loop.step,
        rows=len(means.task.rows),
        trainable=sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        device=str(args.device),
        processes=means.processes.count,
        threads=torch.get_num_threads(),
        gradient_checkpointing=bool(args.activation_checkpointing),
        per_device_train_batch_size=args.per_device_train_batch_size,
        gradient_accumulation_steps=args.gradient_accumulation_steps,
    )


def _finish(loop: Loop, means: Means, trainer: Any) -> None:
    """Writes ``final/`` from the best evaluation's checkpoint, and says "done"."""
    best, before = loop.standing.best, loop.standing.before
    if best is None:
        files = adapter_files(trainer.model, means.task.work)
    else:
        files = _best_files(means.checkpoints.at(best.step))
    write_folder(means.task.folder / FINAL, files, means.hooks.writing)
    if loop.gave_up and loop.step < means.task.total_steps:
        means.events.say("stop", step=loop.step, reason="early_stopping")
    values: dict[str, Json] = {
        "step": loop.step,
        "best_step": best.step if best else loop.step,
        "score": best.score if best else None,
        "before": before.score if before else None,
        "peak_mb": peak_mb(),
    }
    if best is not None and best.pair_accuracy is not None:
        values |= {"pair_accuracy": best.pair_accuracy, "margin": best.margin}
        values["held"] = loop.standing.holds(best)
        values["length"] = best.length
    means.events.say("done", **values)


def _best_files(folder: Path) -> dict[str, bytes]:
    try:
        read(folder)
        return {name: (folder / name).read_bytes() for name in (WEIGHTS, CONFIG)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptionError(
            f"the checkpoint of the best evaluation must be whole: {error}",
            where=str(folder),
            fix="remove checkpoints/ and run the job again",
        ) from error


def _failed(events: Events, error: UpturnError, code: Exit) -> Exit:
    events.say("error", message=error.what, where=error.where, fix=error.fix, exit=int(code))
    return code


def _too_much(error: BaseException) -> UpturnError:
    return UpturnError(
        f"memory is out: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
        where="optim.per_device_train_batch_size",
        fix="halve it and double optim.gradient_accumulation_steps",
    )
