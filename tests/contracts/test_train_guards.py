"""Faults put into a training: each ends in the stated state, with the stated message."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="training needs the [train] extra")
pytest.importorskip("torch", reason="training needs the [local] extra")

from tests.contracts.job_folders import SPEC, events, runs, tensors, write_job
from tests.contracts.tiny_models import tiny_llama
from upturn.finetune.records import Exit
from upturn.finetune.worker.checkpoints import read

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def job(base: Path, tmp_path: Path) -> Callable[..., Path]:
    return lambda spec=SPEC, **rest: write_job(tmp_path / "job", base, spec, **rest)


def checkpoints(folder: Path) -> list[str]:
    """Names of the whole ones; asserts that there are no others."""
    found = sorted((folder / "checkpoints").iterdir()) if (folder / "checkpoints").exists() else []
    assert all(read(p) for p in found)
    return [p.name for p in found]


def test_a_gradient_that_is_not_finite_ends_it_before_the_weights_are_spoiled(job):
    folder = job()
    poison = """
class H(Hooks):
    def before_optimizer(self, step, model):
        if step == 3:
            grads = [p.grad for p in model.parameters() if p.grad is not None]
            grads[1][0, 0] = float("nan")
"""
    assert runs(folder, poison) == [Exit.NUMBERS]
    error = events(folder, "error")[0]
    assert error["where"] == "step 3"
    assert "gradients must be finite, and are not (1 tensors, the first is " in error["message"]
    assert checkpoints(folder) == ["step-000002"]
    assert [e["step"] for e in events(folder, "step")] == [1, 2]
    assert not (folder / "final").exists()


@pytest.mark.parametrize(
    "raised",
    [
        "__import__('torch').OutOfMemoryError('CUDA out of memory')",
        "MemoryError()",
        "RuntimeError('[enforce fail] DefaultCPUAllocator: can\\'t allocate memory: you tried')",
    ],
)
def test_out_of_memory_is_told_as_such(job, raised):
    folder = job()
    hook = f"  if step == 4: raise {raised}"
    code = f"class H(Hooks):\n def before_optimizer(self, step, model):\n{hook}"
    assert runs(folder, code) == [Exit.MEMORY]
    assert "memory is out" in events(folder, "error")[0]["message"]
    assert checkpoints(folder) == ["step-000002"]


def test_another_error_is_a_crash_that_says_what_it_was(job):
    folder = job()
    code = "class H(Hooks):\n def step_done(self, step): raise KeyError('ours')"
    assert runs(folder, code) == [1]
    assert events(folder, "error")[0]["message"] == "KeyError: 'ours'"


def test_a_full_disk_leaves_the_checkpoint_before_and_a_later_run_goes_on(job):
    folder = job()
    full = """
class H(Hooks):
    def writing(self, path, data):
        if path.name == "state.json" and "step-000004" in str(path):
            raise OSError(28, "No space left on device")
"""
    assert runs(folder, full) == [Exit.DISK]
    assert "No space left on device" in events(folder, "error")[0]["message"]
    assert checkpoints(folder) == ["step-000002"]
    assert runs(folder, "") == [Exit.DONE]
    assert events(folder, "start")[1]["step"] == 2


def test_the_final_adapter_is_whole_or_not_there(job):
    folder = job()
    full = """
class H(Hooks):
    def writing(self, path, data):
        if "checkpoints" not in str(path) and path.name == "adapter_config.json":
            raise OSError(28, "No space left on device")
"""
    assert runs(folder, full) == [Exit.DISK]
    assert not (folder / "final").exists()
    assert not events(folder, "done")
    assert runs(folder, "") == [Exit.DONE]
    assert len(events(folder, "step")) == 6, "all steps were done already"
    assert tensors(folder / "final")


def test_minutes_are_capped_with_a_checkpoint_of_this_step(job):
    folder = job(replace(SPEC, run=replace(SPEC.run, max_minutes=0.0)))
    assert runs(folder, "") == [Exit.STOPPED]
    assert (events(folder, "stop")[0]["step"], events(folder, "stop")[0]["reason"]) == (
        1,
        "max_minutes",
    )
    assert checkpoints(folder) == ["step-000001"]


def test_memory_is_capped_with_a_checkpoint_of_this_step(job):
    folder = job(replace(SPEC, run=replace(SPEC.run, max_memory_mb=1.0)))
    assert runs(folder, "") == [Exit.MEMORY]
    assert "max_memory_mb=1" in events(folder, "error")[0]["message"]
    assert checkpoints(folder) == ["step-000001"]


def test_a_step_that_hangs_ends_the_process(job):
    folder = job(replace(SPEC, run=replace(SPEC.run, stall_minutes=60.0)))
    # From here on the clock is a day ahead: no step before this one can be taken for a stall.
    hangs = """
class H(Hooks):
    def step_done(self, step):
        if step == 3:
            monotonic = time.monotonic
            time.monotonic = lambda: monotonic() + 86400
            time.sleep(86400)
"""
    assert runs(folder, hangs) == [Exit.STALLED]
    assert "stall_minutes=60" in events(folder, "error")[0]["message"]
    assert checkpoints(folder) == ["step-000002"]


def test_a_signal_while_rows_are_answered_is_obeyed_and_the_evaluation_made_later(job):
    folder = job()
    code = """
class H(Hooks):
    def step_done(self, step):
        if step == 2:
            from upturn.finetune.worker.engine import TrainingEngine
            inner = TrainingEngine._generate
            def stopped(self, batch):
                os.kill(os.getpid(), signal.SIGTERM)
                return inner(self, batch)
            TrainingEngine._generate = stopped
"""
    assert runs(folder, code, "") == [Exit.STOPPED, Exit.DONE]
    assert checkpoints(folder)[-1] == "step-000006"
    assert [e["step"] for e in events(folder, "eval")] == [0, 2, 4, 6]
    assert [e["step"] for e in events(folder, "stop")] == [2]


def test_a_metric_that_raises_is_the_users_to_mend(job, tmp_path):
    (tmp_path / "bad.py").write_text(
        "def metric(example, prediction, trace=None):\n    raise KeyError('team')\n"
    )
    program = (Path(__file__).parents[2] / "programs" / "ticket_triage.py").read_text()
    (tmp_path / "programs").mkdir()
    # Every answer parses, so that the metric is asked.
    easy = program.replace("team: Team", "team: str").replace("priority: Priority", "priority: str")
    (tmp_path / "programs" / "ticket_triage.py").write_text(
        easy.replace("return self.triage(message=message)", "return dspy.Prediction(team='x')")
    )
    folder = job(metric="bad.py:metric", root=tmp_path)
    assert runs(folder, "") == [Exit.INPUT]
    error = events(folder, "error")[0]
    assert "the metric raised KeyError: 'team'" in error["message"]
    assert error["where"] == "bad.py:metric"


def test_patience_stops_it_and_keeps_the_best(job):
    spec = replace(SPEC, evaluation=replace(SPEC.evaluation, eval_steps=1, patience=2))
    folder = job(spec)
    assert runs(folder, "") == [Exit.DONE]
    # A random model's answers never parse: the first evaluation after the start is the best.
    assert [e["step"] for e in events(folder, "eval")] == [0, 1, 2, 3]
    assert events(folder, "stop")[0]["reason"] == "early_stopping"
    done = events(folder, "done")[0]
    assert (done["step"], done["best_step"], done["score"]) == (3, 1, 0.0)
    best, final = tensors(folder / "checkpoints" / "step-000001"), tensors(folder / "final")
    assert all((best[n] == final[n]).all() for n in best)


def test_patience_is_remembered_over_a_kill(job):
    spec = replace(SPEC, evaluation=replace(SPEC.evaluation, eval_steps=1, patience=2))
    folder = job(spec)
    kill = "class H(Hooks):\n def step_done(self, step):\n  if step == 3: os.kill(os.getpid(), 9)"
    assert runs(folder, kill, "") == [-9, Exit.DONE]
    assert [e["step"] for e in events(folder, "eval")] == [0, 1, 2, 3]


def test_two_processes_train_one_job(base, tmp_path):
    spec = replace(SPEC, optim=replace(SPEC.optim, gradient_accumulation_steps=1))
    folder = write_job(tmp_path / "two", base, spec)
    command: list[Any] = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"),
        *("-m", "upturn.finetune.worker", folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert events(folder, "start")[0]["processes"] == 2
    assert [e["step"] for e in events(folder, "step")] == [1, 2, 3, 4, 5, 6]
    assert [e["step"] for e in events(folder, "eval")] == [0, 2, 4, 6]
    alone = write_job(tmp_path / "one", base, SPEC)
    assert runs(alone, "") == [Exit.DONE]
    # The same rows in each step; dropout draws differ, so the losses are near, not equal.
    losses = [[e["loss"] for e in events(f, "step")] for f in (folder, alone)]
    assert losses[0] == pytest.approx(losses[1], abs=0.05)
