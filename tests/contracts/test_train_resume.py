"""Killed, stopped and damaged trainings go on to the very weights of the undisturbed one."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="training needs the [train] extra")
pytest.importorskip("torch", reason="training needs the [local] extra")

import torch

from tests.contracts.job_folders import SPEC, events, runs, tensors, write_job
from tests.contracts.tiny_models import tiny_llama
from upturn.finetune.records import Exit
from upturn.finetune.worker.checkpoints import read

pytestmark = pytest.mark.local

KINDS = ("sft", "dpo", "kto")
KILL = """
class H(Hooks):
    def {at}(self, step, *_):
        if step == {step}:
            os.kill(os.getpid(), signal.SIG{name})
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def undisturbed(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns a training of each kind that nothing disturbed; trained once."""
    made: dict[str, Path] = {}

    def train(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            made[kind] = write_job(folder, base, replace(SPEC, kind=kind))
            assert runs(folder, "") == [Exit.DONE]
        return made[kind]

    return train


@pytest.fixture
def job(base: Path, tmp_path: Path) -> Callable[[str], Path]:
    return lambda kind: write_job(tmp_path / kind, base, replace(SPEC, kind=kind))


def assert_same(one: Path, two: Path) -> None:
    """The last step's weights, and those that were kept as the best, are equal bit by bit."""
    for name in ("checkpoints/step-000006", "final"):
        a, b = tensors(one / name), tensors(two / name)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[n], b[n]) for n in a), name


@pytest.mark.parametrize("kind", KINDS)
def test_an_undisturbed_training_says_all_and_leaves_whole_checkpoints(kind, undisturbed):
    folder = undisturbed(kind)
    said = [e["kind"] for e in events(folder)]
    assert said[:2] == ["start", "eval"]
    assert said[-1] == "done"
    assert said.count("step") == 6
    assert [e["step"] for e in events(folder, "eval")] == [0, 2, 4, 6]
    done = events(folder, "done")[0]
    kept = sorted(p.name for p in (folder / "checkpoints").iterdir())
    assert kept == sorted({f"step-{done['best_step']:06d}", "step-000004", "step-000006"})
    assert all(read(folder / "checkpoints" / name) for name in kept)
    final = sorted(p.name for p in (folder / "final").iterdir())
    assert final == ["adapter_config.json", "adapter_model.safetensors"]
    b = [t for n, t in tensors(folder / "final").items() if "lora_B" in n]
    assert any(t.abs().max() > 0 for t in b), "the adapter must have learned something"
    if kind != "sft":
        assert 0 <= done["pair_accuracy"] <= 1
        assert done["length"]["pairs"] == 4


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_random_steps_it_ends_with_the_same_weights(kind, undisturbed, job):
    folder = job(kind)
    draw = random.Random(kind)
    n = 5 if kind == "sft" else 1
    places = [
        (draw.randint(1, 6), draw.choice(("before_optimizer", "step_done"))) for _ in range(n)
    ]
    codes = [KILL.format(at=at, step=step, name="KILL") for step, at in places]
    ended = runs(folder, *codes, "")
    # A later kill may come at a step that was done before: that training just finishes.
    assert ended[0] == -9
    assert set(ended) <= {-9, Exit.DONE}
    assert ended[-1] == Exit.DONE
    assert_same(folder, undisturbed(kind))


def test_a_signal_stops_it_after_the_step_with_a_checkpoint_of_this_step(undisturbed, job):
    folder = job("sft")
    assert runs(folder, KILL.format(at="before_optimizer", step=3, name="TERM")) == [Exit.STOPPED]
    stop = events(folder, "stop")[0]
    assert (stop["step"], stop["reason"]) == (3, "signal")
    assert read(folder / "checkpoints" / "step-000003").step == 3
    assert runs(folder, "") == [Exit.DONE]
    assert events(folder, "start")[1]["step"] == 3
    assert_same(folder, undisturbed("sft"))


def test_a_damaged_checkpoint_is_left_out_by_name_and_the_older_one_used(undisturbed, job):
    folder = job("sft")
    assert runs(folder, KILL.format(at="before_optimizer", step=5, name="KILL")) == [-9]
    newest = folder / "checkpoints" / "step-000004"
    data = bytearray((newest / "optimizer.safetensors").read_bytes())
    data[-1] ^= 1
    (newest / "optimizer.safetensors").write_bytes(bytes(data))
    assert runs(folder, "") == [Exit.DONE]
    warning = events(folder, "warning")[0]["message"]
    assert "step-000004" in warning
    assert "optimizer.safetensors must have sha256" in warning
    assert events(folder, "start")[1]["step"] == 2
    assert_same(folder, undisturbed("sft"))


def test_a_checkpoint_without_its_manifest_was_never_finished(undisturbed, job):
    folder = job("sft")
    whole = undisturbed("sft") / "checkpoints" / "step-000004"
    shutil.copytree(whole, folder / "checkpoints" / "step-000004")
    (folder / "checkpoints" / "step-000004" / "manifest.json").unlink()
    assert runs(folder, KILL.format(at="step_done", step=1, name="KILL")) == [-9]
    assert "manifest.json is missing" in events(folder, "warning")[0]["message"]
    assert events(folder, "start")[0]["step"] == 0


def test_evaluating_changes_no_weight_dropout_included(base, undisturbed, tmp_path):
    rare = replace(SPEC, evaluation=replace(SPEC.evaluation, eval_steps=6))
    folder = write_job(tmp_path / "rare", base, rare)
    assert SPEC.lora.lora_dropout > 0
    assert runs(folder, "") == [Exit.DONE]
    assert [e["step"] for e in events(folder, "eval")] == [0, 6]
    name = "checkpoints/step-000006"
    one, two = tensors(folder / name), tensors(undisturbed("sft") / name)
    assert all(torch.equal(one[n], two[n]) for n in one)


def test_half_the_batch_and_twice_the_accumulation_go_on_from_a_checkpoint(base, job, undisturbed):
    folder = job("sft")
    assert runs(folder, KILL.format(at="step_done", step=3, name="KILL")) == [-9]
    halved = replace(SPEC.optim, per_device_train_batch_size=1, gradient_accumulation_steps=4)
    write_job(folder, base, replace(SPEC, optim=halved))
    assert runs(folder, "") == [Exit.DONE]
    name = "checkpoints/step-000006"
    one, two = tensors(folder / name), tensors(undisturbed("sft") / name)
    # Dropout draws in another order, so the weights are near, not equal.
    assert all(torch.allclose(one[n], two[n], atol=1e-2) for n in one)


def test_another_batch_does_not_go_on(base, job):
    folder = job("sft")
    assert runs(folder, KILL.format(at="step_done", step=3, name="KILL")) == [-9]
    write_job(folder, base, replace(SPEC, optim=replace(SPEC.optim, per_device_train_batch_size=4)))
    assert runs(folder, "") == [Exit.INPUT]
    assert "batch was 4, is 8" in events(folder, "error")[0]["message"]
