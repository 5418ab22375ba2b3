"""A fine-tune job from its file to its adapter, with a worker that does as it is told."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the [local] extra")

from tests.pipeline.conftest import NOW, Project
from upturn import mini
from upturn.errors import ConfigError, DataError, InputError, StorageError, TrainingError
from upturn.finetune.launch import LocalLauncher
from upturn.finetune.records import Exit
from upturn.lm.connect import connect
from upturn.pipeline.training.result import TrainResult
from upturn.pipeline.training.task import Task
from upturn.pipeline.training.telling import SilentTraining
from upturn.pipeline.training.train import TrainWorld, plan_job, train_job
from upturn.registry import Registry
from upturn.testing.adapters import random_adapter
from upturn.testing.jobs import MemoryJobTracker
from upturn.tracking import TurnStatus

SCRIPTED = str(Path(__file__).parents[1] / "unit" / "finetune" / "scripted.py")
JOB = """
kind: sft
name: tickets_sft
config: configs/tickets.yaml
base: upturn-mini
evaluation: {rows: 6}
run: {device: cpu}
"""
START = ["event", "start", {"total_steps": 10, "step": 0, "rows": 40}]
STEPS = [
    ["event", "step", {"step": n, "loss": 1 / n, "tokens": 100 * n, "peak_mb": 500.0 + n}]
    for n in (1, 2)
]
DONE = [
    ["event", "eval", {"step": 0, "score": 0.25, "rows": 6}],
    ["event", "eval", {"step": 2, "score": 0.75, "rows": 6}],
    ["event", "done", {"step": 2, "best_step": 2, "score": 0.75, "before": 0.25}],
]


class Lines(SilentTraining):
    def __init__(self):
        self.said = []

    def step(self, name, detail=""):
        self.said.append((name, detail))


@dataclass
class Bench:
    """A project with a job, and a worker whose starts are scripted."""

    project: Project
    adapter: Path
    tracker: MemoryJobTracker = field(default_factory=MemoryJobTracker)
    lines: Lines = field(default_factory=Lines)
    scripts: list = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.project.root / "jobs" / "tickets_sft.yaml"

    @property
    def jobs(self) -> Path:
        return self.project.root / "mlruns" / "jobs"

    def well(self, adapter=None):
        return [START, *STEPS, ["checkpoint", 2], ["final", str(adapter or self.adapter)], *DONE]

    def world(self, **changed) -> TrainWorld:
        @contextmanager
        def registry(parts):
            held: Registry = self.project.registry
            yield held

        @contextmanager
        def tracker(parts):
            yield self.tracker

        world = TrainWorld(
            registry=registry,
            tracker=tracker,
            # A model that takes no weights: the worker's numbers stand, and no test waits for one.
            connect=self.project.world().connect,
            launcher=lambda task: LocalLauncher(worker=(SCRIPTED,)),
            clock=lambda: NOW,
            progress=self.lines,
        )
        return replace(world, **changed)

    def train(self, *overrides, starts=None, branch=None, **changed) -> TrainResult:
        job = self.jobs / (branch or "tickets_sft")
        job.mkdir(parents=True, exist_ok=True)
        done = int((job / "starts").read_text()) if (job / "starts").exists() else 0
        wanted = [self.well()] if starts is None else list(starts)
        (job / "script.json").write_text(json.dumps([[]] * done + wanted))
        task = Task.load(self.path, list(overrides))
        return train_job(task, self.world(**changed), branch_to=branch)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> Path:
    return random_adapter(mini.weights_dir(), tmp_path_factory.mktemp("peft") / "one", seed=1)


@pytest.fixture
def bench(project, adapter) -> Bench:
    made = Bench(project, adapter)
    made.path.parent.mkdir()
    made.path.write_text(JOB)
    return made


def test_a_job_ends_in_an_adapter_with_a_card_a_result_and_a_run(bench):
    result = bench.train(
        connect=lambda parts, cache, meter: connect(parts.model, cache=cache, meter=meter),
    )
    card = json.loads((Path(result.adapter) / "card.json").read_text())
    assert Path(result.adapter) == bench.project.root / "mlruns" / "adapters" / result.adapter_id
    assert result.metric["engine"] == "serving"
    assert result.metric["rows"] == 6
    assert 0 <= result.metric["before"] <= 1
    assert result.worker_metric == {"before": 0.25, "after": 0.75, "rows": 6}
    assert (result.steps, result.best_step, result.peak_mb) == (2, 2, 502.0)
    assert not result.resumed
    assert card["licences"] == {"base": "apache-2.0", "data": "not recorded"}
    assert card["snapshot"] == result.snapshot
    assert card["rows"] == result.rows > 100
    assert card["metrics"]["dev"] == result.metric
    assert card["fingerprint"] == result.fingerprint
    assert card["candidate"]["states"]["triage"]["demos"] == []
    job = bench.tracker.job
    assert job.status is TurnStatus.FINISHED
    assert job.curve("train/loss") == [(1, 1.0), (2, 0.5)]
    assert job.curve("dev/score") == [(0, 0.25), (2, 0.75)]
    assert job.metrics["dev/score"] == result.metric["after"]
    assert set(job.files) == {"card.json"}
    assert job.tags["adapter"] == result.adapter_id


def test_the_same_job_again_gives_its_recorded_result(bench):
    first = bench.train()
    again = bench.train(starts=[])
    assert again.known
    assert replace(again, known=False) == first


def test_a_killed_job_goes_on_and_its_first_end_is_a_failure(bench):
    with pytest.raises(TrainingError, match="SIGKILL"):
        bench.train(starts=[[START, STEPS[0], ["checkpoint", 1], ["kill", int(signal.SIGKILL)]]])
    assert bench.tracker.job.status is TurnStatus.FAILED
    assert "SIGKILL" in bench.tracker.job.note
    result = bench.train()
    assert result.resumed
    assert bench.tracker.job.status is TurnStatus.FINISHED
    assert len(bench.tracker.jobs) == 1


def test_a_changed_job_is_refused_with_all_differences(bench):
    bench.train()
    with pytest.raises(InputError) as caught:
        bench.train("optim.learning_rate=5.0e-4", "lora.r=8", "split.dev=0.2", starts=[])
    error = caught.value
    assert "optim.learning_rate: was 0.001, is 0.0005" in error.what
    assert "lora.r: was 16, is 8" in error.what
    assert "data.dev: was" in error.what
    assert "--branch NEW_NAME" in error.fix


def test_a_changed_program_is_refused(bench):
    bench.train()
    program = bench.project.root / "programs" / "triage.py"
    program.write_text(program.read_text().replace("Route the message.", "Route it."))
    with pytest.raises(InputError, match=r"data\.program: was"):
        bench.train(starts=[])


def test_caps_and_the_cut_of_a_batch_may_change(bench):
    with pytest.raises(TrainingError):
        bench.train(starts=[[START, ["checkpoint", 1], ["exit", 1]]])
    split = ("optim.per_device_train_batch_size=4", "optim.gradient_accumulation_steps=4")
    assert bench.train("run.max_minutes=5", *split).resumed
    order = json.loads((bench.jobs / "tickets_sft" / "work.json").read_text())
    assert order["spec"]["optim"]["per_device_train_batch_size"] == 4


def test_a_batch_that_was_halved_stays_so_when_the_job_goes_on(bench):
    memory = [START, ["checkpoint", 1], ["exit", int(Exit.MEMORY)]]
    with pytest.raises(TrainingError):
        bench.train(starts=[memory, [START, ["exit", 1]]])
    result = bench.train()
    order = json.loads((bench.jobs / "tickets_sft" / "work.json").read_text())
    assert order["spec"]["optim"]["per_device_train_batch_size"] == 8
    assert order["spec"]["optim"]["gradient_accumulation_steps"] == 2
    assert result.resumed


def test_a_branch_starts_from_the_newest_checkpoint(bench):
    bench.train()
    result = bench.train("optim.learning_rate=5.0e-4", branch="slower")
    start = bench.jobs / "slower" / "start"
    assert (start / "adapter_model.safetensors").read_bytes() == b"weights of step 2"
    assert result.job == "slower"
    order = json.loads((bench.jobs / "slower" / "work.json").read_text())
    assert order["spec"]["start"] == str(start)
    assert order["spec"]["optim"]["learning_rate"] == 5e-4
    assert bench.train("optim.learning_rate=5.0e-4", branch="slower", starts=[]).known


def test_a_branch_keeps_the_adapters_shape(bench):
    bench.train()
    with pytest.raises(ConfigError, match="must keep 16, got 8"):
        bench.train("lora.r=8", branch="smaller", starts=[])


def test_a_branch_of_nothing_is_refused(bench):
    with pytest.raises(DataError, match="must have a whole checkpoint"):
        bench.train(branch="early", starts=[])


def test_a_tracker_that_is_dead_from_the_start_costs_the_record_only(bench):
    @contextmanager
    def dead(parts):
        raise StorageError("MLflow must be reachable and writable: refused")
        yield

    result = bench.train(tracker=dead)
    assert "refused" in result.tracking["missing"]
    assert any(name == "tracking" and "goes on" in text for name, text in bench.lines.said)


def test_a_tracker_that_dies_on_the_way_costs_the_rest_of_the_record(bench):
    class Dying(MemoryJobTracker):
        def log_points(self, points):
            raise StorageError("MLflow must be reachable and writable: gone")

    bench.tracker = Dying()
    result = bench.train()
    assert "gone" in result.tracking["missing"]
    assert [text for name, text in bench.lines.said if name == "tracking"] == [
        "MLflow must be reachable and writable: gone; the training goes on without its curves"
    ]


def test_preflight_problems_stop_before_anything_is_written(bench):
    before = sorted(p for p in bench.project.root.rglob("*") if p.is_file())
    task = Task.load(bench.path, ["optim.max_length=20"])
    plan = plan_job(task, bench.world())
    assert plan.preflight.problems
    with pytest.raises(InputError, match="max_length"):
        train_job(task, bench.world())
    assert sorted(p for p in bench.project.root.rglob("*") if p.is_file()) == before


def test_a_champions_prompt_is_trained_under_and_must_exist(bench):
    with pytest.raises(DataError, match="has no champion yet"):
        bench.train("combine=prompt_then_weights", starts=[])


def test_overrides_go_to_the_file_that_has_the_key(bench):
    task = Task.load(bench.path, ["seed=3", "workspace=elsewhere", "optim.max_steps=2"])
    assert task.spec.seed == 3
    assert task.spec.optim.max_steps == 2
    assert task.parts.workspace.folder == bench.project.root / "elsewhere"
    with pytest.raises(ConfigError, match="unknown key"):
        Task.load(bench.path, ["optim.lerning_rate=1.0e-3"])


def test_a_remote_base_is_refused(bench):
    bench.path.write_text(JOB.replace("base: upturn-mini\n", ""))
    with pytest.raises(ConfigError, match="weights on this machine"):
        Task.load(bench.path)


def test_two_jobs_in_one_folder_are_refused(bench):
    from upturn.finetune.folder import JobFolder

    with JobFolder(bench.jobs / "tickets_sft").locked(), pytest.raises(StorageError, match="holds"):
        bench.train(starts=[])
