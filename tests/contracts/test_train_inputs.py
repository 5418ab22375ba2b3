"""What a training refuses, by name; what it starts from, answers and leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="training needs the [train] extra")
pytest.importorskip("torch", reason="training needs the [local] extra")

import torch
from safetensors.torch import load_file, save_file

from tests.contracts.job_folders import (
    PROGRAM,
    ROOT,
    SPEC,
    events,
    examples,
    runs,
    tensors,
    training_rows,
    write_job,
)
from tests.contracts.tiny_models import tiny_llama
from upturn.finetune.records import Exit

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A base of this test, to be spoiled."""
    return tiny_llama(tmp_path / "own")


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Trains, expects a refusal, and returns its event."""

    def train(base: Path, spec: Any = SPEC, **rest: Any) -> dict[str, Any]:
        folder = write_job(tmp_path / "job", base, spec, **rest)
        assert runs(folder, "") == [Exit.INPUT], (folder / "log.txt").read_text()[-2000:]
        return events(folder, "error")[0]

    return train


def lora(**changes: Any) -> Any:
    return replace(SPEC, lora=replace(SPEC.lora, **changes))


@pytest.mark.parametrize(
    ("spec", "message", "where"),
    [
        (lora(target_modules=("nothing",)), "'nothing' names none", "lora.target_modules"),
        (lora(target_modules=("lm_head",)), "head or the embedding", "lora.target_modules"),
        (replace(SPEC, run=replace(SPEC.run, device="cuda")), "must find a GPU", "run.device"),
        (
            replace(SPEC, optim=replace(SPEC.optim, max_length=20)),
            "must have at most max_length=20",
            "rows.jsonl",
        ),
        (
            replace(SPEC, kind="kto", optim=replace(SPEC.optim, per_device_train_batch_size=1)),
            "must be >= 2, got 1",
            "per_device_train_batch_size",
        ),
    ],
    ids=["no-target", "head", "device", "too-long", "kto-of-one"],
)
def test_a_job_that_cannot_be_is_refused(refused, base, spec, message, where):
    if spec.run.device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    error = refused(base, spec)
    assert message in error["message"]
    assert where in error["where"]


def test_no_rows_are_refused(refused, base):
    assert "at least one row" in refused(base, rows=[])["message"]


def test_equal_answers_are_refused(refused, base):
    row = training_rows(base, [next(examples())], "dpo")[0]
    rows = [replace(row, rejected_ids=row.completion_ids)]
    assert "must differ" in refused(base, replace(SPEC, kind="dpo"), rows=rows)["message"]


def test_a_base_that_lacks_a_tensor_is_refused(refused, own):
    weights = load_file(own / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, own / "model.safetensors", metadata={"format": "pt"})
    error = refused(own)
    assert "missing keys: model.layers.1.mlp.up_proj.weight" in error["message"]


def test_a_base_that_brings_code_is_refused_unless_allowed(refused, own):
    config = json.loads((own / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "evil.Model"}
    (own / "config.json").write_text(json.dumps(config))
    (own / "evil.py").write_text("raise SystemExit('it ran')")
    error = refused(own)
    assert "must not bring code of its own" in error["message"]
    assert "trust_remote_code=true" in error["fix"]


def test_a_tokenizer_without_an_end_is_refused(refused, own, tmp_path):
    path = own / "tokenizer_config.json"

    def without_end() -> None:
        config = json.loads(path.read_text())
        del config["eos_token"]
        path.write_text(json.dumps(config))

    rows = training_rows(own, [next(examples())], "sft")
    without_end()
    assert "must have an end token" in refused(own, rows=rows)["message"]


def test_a_base_that_is_not_there_is_refused(refused, own):
    rows = training_rows(own, [next(examples())], "sft")
    shutil.rmtree(own)
    assert "must be a folder" in refused(own, rows=rows)["message"]


def test_training_goes_on_from_an_adapter_that_dpo_compares_with(base, tmp_path, refused):
    first = write_job(tmp_path / "sft", base)
    assert runs(first, "") == [Exit.DONE]
    start = first / "final"
    spec = replace(SPEC, kind="dpo", start=str(start))
    second = write_job(tmp_path / "dpo", base, spec)
    assert runs(second, "") == [Exit.DONE]
    before = events(second, "eval")[0]
    # The start is its own reference, so nothing is preferred yet: not the base's opinion.
    assert before["margin"] == pytest.approx(0.0, abs=1e-9)
    final = tensors(second / "final")
    assert final.keys() == tensors(start).keys(), "no copy of the reference is saved"
    assert not any("ref" in n.split(".") for n in final)
    assert any(not torch.equal(final[n], tensors(start)[n]) for n in final)
    weights = tensors(start)
    weights.pop(next(iter(weights)))
    save_file(weights, start / "adapter_model.safetensors")
    assert "missing:" in refused(base, spec)["message"]


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")  # PEFT asks
def test_peft_reads_the_final_adapter(base, tmp_path):
    import peft
    from transformers import AutoModelForCausalLM

    folder = write_job(tmp_path / "job", base)
    assert runs(folder, "") == [Exit.DONE]
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    loaded = peft.PeftModel.from_pretrained(model, str(folder / "final"))
    held = {n: p for n, p in loaded.named_parameters() if "lora_" in n}
    saved = tensors(folder / "final")
    assert {n.replace(".default", "") for n in held} == set(saved)
    assert all(torch.equal(p, saved[n.replace(".default", "")]) for n, p in held.items())


def test_the_model_in_training_answers_as_the_local_engine_does():
    from dspy.lm15 import Config, Message, Request
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from upturn import mini
    from upturn.finetune.worker.engine import TrainingEngine
    from upturn.lm.local import LocalEngine
    from upturn.programs import Program

    program = Program(PROGRAM, ROOT)
    made = examples()
    requests = []
    for _ in range(5):
        turns = program.messages(program.seed, next(made).inputs)
        requests.append(
            Request(
                model="m",
                system=turns[0]["content"],
                messages=(Message.user(turns[1]["content"]),),
                config=Config(max_tokens=24, temperature=0.0),
            )
        )
    folder = mini.weights_dir()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    local = LocalEngine(folder, model_id="m")
    training = TrainingEngine(model, tokenizer, max_new_tokens=24)
    try:
        for request in requests:
            one, two = local.complete(request), training.complete(request)
            assert one.message.parts == two.message.parts
            assert one.finish_reason == two.finish_reason
    finally:
        local.close()
        training.close()
