"""A real training through the whole job: a few steps of the embedded model, killed, resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="needs the [train] extra")

from tests.pipeline.conftest import NOW, Project
from tests.pipeline.test_train_job import JOB
from upturn.finetune.folder import EventReader, JobFolder
from upturn.pipeline.training.task import Task
from upturn.pipeline.training.telling import SilentTraining
from upturn.pipeline.training.train import TrainWorld, train_job

pytestmark = pytest.mark.local

SMALL = (
    "optim.max_steps=5",
    "optim.per_device_train_batch_size=4",
    "evaluation.rows=2",
    "evaluation.eval_steps=4",
    "evaluation.max_new_tokens=8",
    "run.save_steps=1",
    "lora.r=4",
)
# The worker, which makes no third step before it is asked to stop: however slow the one is that
# kills the job after the second, there is something left to do.
WORKER = """
import signal
import sys
import threading
from upturn.finetune.worker.hooks import Hooks
from upturn.finetune.worker.train import train


class Waits(Hooks):
    def before_optimizer(self, step, model):
        if step != 3:
            return
        asked, note = threading.Event(), signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda *told: (note(*told), asked.set()))
        if not note.__self__.asked():  # it may have come before this step
            asked.wait()


sys.exit(int(train(sys.argv[1], hooks=Waits())))
"""
# Trains as a process of its own, and says each event.
CHILD = """
import sys
from dataclasses import replace
from pathlib import Path
from upturn.cli.training_bar import TrainingLog
from upturn.finetune.launch import LocalLauncher
from upturn.pipeline.training.task import Task
from upturn.pipeline.training.train import train_job
from upturn.pipeline.training.world import real_train_world
worker, job, *overrides = sys.argv[1:]
world = real_train_world(TrainingLog())
world = replace(world, launcher=lambda task: LocalLauncher(worker=(worker,)))
train_job(Task.load(Path(job), overrides), world)
"""


def task(project: Project, *overrides: str) -> Task:
    path = project.root / "jobs" / "tickets_sft.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(JOB)
    return Task.load(path, [*SMALL, *overrides])


def world(project: Project) -> TrainWorld:
    from contextlib import contextmanager

    from upturn.testing.jobs import MemoryJobTracker

    @contextmanager
    def opened(parts):
        yield MemoryJobTracker()

    return TrainWorld(
        registry=opened,  # pyright: ignore - weights_only asks for no champion
        tracker=opened,
        connect=project.world().connect,
        launcher=lambda task: task.launcher(),
        clock=lambda: NOW,
        progress=SilentTraining(),
    )


def killed_at(project: Project, step: int) -> None:
    """Runs the job in a process of its own and kills it, with all it started, after a step."""
    made, worker = task(project), project.root / "waits.py"
    worker.write_text(WORKER)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(worker), str(made.path), *SMALL],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    reader = EventReader(made.parts.workspace.jobs / "tickets_sft" / "events.jsonl")
    while child.poll() is None:
        steps = [e.values["step"] for e in reader.read() if e.kind == "checkpoint"]
        if any(s >= step for s in steps):
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            return
        time.sleep(0.05)
    raise AssertionError("the job ended before it could be killed")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the lock asks /proc who is alive")
def test_a_killed_job_ends_in_the_very_adapter_of_an_undisturbed_one(project):
    whole = train_job(task(project, "name=undisturbed"), world(project))
    assert not whole.resumed
    killed_at(project, 2)
    folder = JobFolder(project.root / "mlruns" / "jobs" / "tickets_sft")
    again = train_job(task(project), world(project))
    assert again.resumed
    assert again.adapter_id == whole.adapter_id
    assert folder.newest_checkpoint().step == 5
    assert whole.metric["engine"] == "worker"
    assert whole.metric["rows"] == 2
    assert whole.peak_mb > 100
