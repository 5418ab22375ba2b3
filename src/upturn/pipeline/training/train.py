"""A fine-tune job from its file to its adapter.

A job is named; what its weights depend on is its fingerprint. The same again gives the recorded
result or goes on where it stopped, anything else is refused with the difference. Nothing is written
before the preflight has passed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from upturn.errors import BudgetExceededError, DataError, StoppedError, StorageError
from upturn.finetune.fingerprint import Fingerprint, refusal
from upturn.finetune.folder import FINGERPRINT, JobFolder
from upturn.finetune.launch import Launcher
from upturn.finetune.records import WorkOrder
from upturn.finetune.runner import Runner
from upturn.finetune.spec import JobSpec
from upturn.pipeline.parts import Parts
from upturn.pipeline.training.branching import branch
from upturn.pipeline.training.data import read_data
from upturn.pipeline.training.ending import Finisher
from upturn.pipeline.training.plan import Plan, make_plan
from upturn.pipeline.training.result import TrainResult
from upturn.pipeline.training.scores import Connect
from upturn.pipeline.training.task import Task
from upturn.pipeline.training.telling import Curves, Several, TrainingProgress, Watcher
from upturn.pipeline.workspace import disk_errors
from upturn.records import Candidate, Json
from upturn.registry import Registry
from upturn.tracking import TurnStatus
from upturn.tracking.jobs import JobInfo, JobTracker

_CUT = "cut"


@dataclass(frozen=True, kw_only=True)
class TrainWorld:
    """The outside, one seam each.

    Attributes:
        registry: opens the registry, for the champion's prompt.
        tracker: opens what keeps the job's record; it may fail, the training does not.
        connect: opens the base model for dev before and after.
        launcher: where the worker runs.
        clock: the time now, with zone.
        progress: told what happens.
    """

    registry: Callable[[Parts], AbstractContextManager[Registry]]
    tracker: Callable[[Parts], AbstractContextManager[JobTracker]]
    connect: Connect
    launcher: Callable[[Task], Launcher]
    clock: Callable[[], datetime]
    progress: TrainingProgress


def plan_job(task: Task, world: TrainWorld) -> Plan:
    """Does all of a job that comes before training, and writes nothing.

    Raises:
        UpturnError: bad input. What the preflight finds is in the plan, and raises nothing yet.
    """
    # Program, metric and base before the data: a typo costs nothing.
    _ = task.parts.program.fields, task.parts.metric, task.base, task.spec
    data = read_data(task.parts, task.job.kind, task.job.snapshot, world.clock())
    task.parts.try_metric(data.train[0])
    sizes = f"train {len(data.train)}, dev {len(data.dev)}"
    world.progress.step("data", f"{sizes}, holdout {data.holdout_rows} (sealed)")
    return make_plan(task, data, _champion(task, world))


def train_job(task: Task, world: TrainWorld, *, branch_to: str | None = None) -> TrainResult:
    """Trains a job, goes on with it, or gives its recorded result.

    Args:
        task: job and config.
        world: the outside.
        branch_to: name of a new job that starts from this one's newest checkpoint.

    Raises:
        UpturnError: bad input; a changed job; a training that did not end well; see ``Runner``.
    """
    started = world.clock()
    plan = plan_job(task, world)
    _ = plan.encoded  # raises what the preflight found
    for finding in plan.preflight.warnings:
        world.progress.step("preflight", finding.line)
    launcher = world.launcher(task)
    jobs = task.parts.workspace.jobs
    folder = JobFolder(jobs / (branch_to or task.job.name))
    with disk_errors(folder.path), folder.locked() as lock:
        spec = task.spec
        if branch_to is not None:
            named = replace(spec, name=branch_to)
            spec = branch(JobFolder(jobs / task.job.name), folder, named, base_id=task.base[1])
        mark = plan.fingerprint(spec)
        refuse_changes(folder, mark, spec.name)
        known = recorded(folder)
        if known is not None:
            world.progress.step("known", f"job {spec.name} was trained before; its result stands")
            return known.again()
        job = _Job(plan=plan, world=world, folder=folder, mark=mark, started=started)
        return job.run(prepared(folder, plan, spec, mark), launcher, lock)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One call of a job that has to be trained."""

    plan: Plan
    world: TrainWorld
    folder: JobFolder
    mark: Fingerprint
    started: datetime

    def run(self, order: WorkOrder, launcher: Launcher, lock: int) -> TrainResult:
        parts, progress = self.plan.task.parts, self.world.progress
        snapshot = self.plan.data.snapshot(parts, self.started)
        progress.step("snapshot", snapshot.id[:12])
        self.plan.check_sealed(snapshot)
        with ExitStack() as stack:
            curves = self._curves(order, snapshot.id, stack)
            finisher = Finisher(
                plan=self.plan,
                snapshot=snapshot,
                mark=self.mark,
                folder=self.folder,
                connect=self.world.connect,
                curves=curves,
                progress=progress,
            )
            try:
                with ExitStack() as bar:
                    heard = Several([Watcher(progress, bar), curves])
                    runner = Runner(launcher, heard, tell=lambda s: progress.step("stop", s))
                    training = runner.run(self.folder, order, lock=lock)
                return finisher.done(training)
            except BaseException as error:
                stopped = (StoppedError, BudgetExceededError, KeyboardInterrupt)
                status = TurnStatus.KILLED if isinstance(error, stopped) else TurnStatus.FAILED
                finisher.failed(error, status)
                raise

    def _curves(self, order: WorkOrder, snapshot_id: str, stack: ExitStack) -> Curves:
        """Opens the tracker's run; without it the training goes on."""
        task, warn = self.plan.task, self._warn
        try:
            tracker = stack.enter_context(self.world.tracker(task.parts))
        except StorageError as error:
            warn(f"{error.what}; the training goes on without a record")
            return Curves(None, warn, missing=error.what)
        info = JobInfo(
            job=order.spec.name,
            program=task.parts.config.name,
            fingerprint=self.mark.id,
            config_yaml=task.job.to_yaml(),
            snapshot_id=snapshot_id,
            base_id=order.base_id,
            params=_params(order.spec),
            tags={"job_kind": order.spec.kind},
        )
        curves = Curves(tracker, warn)
        curves.run_id = curves.ask(lambda t: t.start_job(info)) or ""
        return curves

    def _warn(self, sentence: str) -> None:
        self.world.progress.step("tracking", sentence)


def refuse_changes(folder: JobFolder, mark: Fingerprint, name: str) -> None:
    """Compares a job with what its folder was made for.

    Raises:
        InputError: something that its weights depend on has changed; names all of it.
    """
    value: Any = folder.read_json(FINGERPRINT)
    if value is None:
        return
    differences = mark.differences(Fingerprint.from_json(value))
    if differences:
        raise refusal(differences, name=name, folder=folder.path)


def recorded(folder: JobFolder) -> TrainResult | None:
    """Returns the result of a finished job; None where it has to be trained, or stored again."""
    value = folder.read_result()
    if value is None:
        return None
    known = TrainResult.from_json(value)
    return known if Path(known.adapter).is_dir() else None


def prepared(folder: JobFolder, plan: Plan, spec: JobSpec, mark: Fingerprint) -> WorkOrder:
    """Writes what the worker needs, and returns its order.

    A batch that was halved for want of memory stays so, unless another was asked for since.
    """
    optim = spec.optim
    asked = [optim.per_device_train_batch_size, optim.gradient_accumulation_steps]
    before, old = folder.read_json(FINGERPRINT), folder.read_order()
    if old is not None and before is not None and before.get(_CUT) == asked:
        spec = replace(spec, optim=old.spec.optim)
    order = plan.order(spec, mark)
    # First what the folder is for: a kill in between must not leave rows that nobody can name.
    made: dict[str, Json] = {**mark.to_json(), _CUT: asked}
    folder.write_json(FINGERPRINT, made)
    folder.write(order, plan.encoded.rows, plan.dev_rows, plan.dev)
    return order


def _champion(task: Task, world: TrainWorld) -> Candidate | None:
    if task.job.combine == "weights_only":
        return None
    with world.registry(task.parts) as registry:
        found = registry.champion(task.parts.config.name)
    if found is None and task.job.combine == "prompt_then_weights":
        raise DataError(
            f"combine: {task.job.combine} trains under the champion's prompt, and "
            f"{task.parts.config.name} has no champion yet",
            where=str(task.path),
            fix=f"upturn run {task.job.config}, or combine=weights_only",
        )
    return None if found is None else found.candidate


def _params(spec: JobSpec) -> dict[str, str]:
    optim, lora = spec.optim, spec.lora
    return {
        "kind": spec.kind,
        "combine": spec.combine,
        "learning_rate": f"{optim.learning_rate:g}",
        "epochs": f"{optim.num_train_epochs:g}",
        "batch": str(optim.per_device_train_batch_size * optim.gradient_accumulation_steps),
        "lora_r": str(lora.r),
        "lora_alpha": str(lora.lora_alpha),
        "seed": str(spec.seed),
    }
