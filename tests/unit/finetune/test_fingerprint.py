"""What the weights of a job depend on, and how a change is named."""

from dataclasses import replace

import pytest

from upturn.finetune.fingerprint import Fingerprint, fingerprint, refusal
from upturn.finetune.spec import JobSpec, LoraSpec, OptimSpec, RunSpec

SPEC = JobSpec(name="tickets", kind="sft")


def made(spec=SPEC, **changed) -> Fingerprint:
    given = {
        "data": {"snapshot": "s1", "rows": "r1", "dev": "d1"},
        "base_id": "upturn-mini@0123",
        "template": "<|user|>",
        "candidate": {"states": {}},
        "settings": {"temperature": 0.0},
    } | changed
    return fingerprint(spec, **given)


@pytest.mark.parametrize(
    "spec",
    [
        replace(SPEC, name="other"),
        replace(SPEC, run=RunSpec(max_minutes=3, save_steps=5, stall_minutes=1)),
        replace(
            SPEC, optim=OptimSpec(per_device_train_batch_size=4, gradient_accumulation_steps=4)
        ),
    ],
    ids=["name", "caps", "cut of the batch"],
)
def test_what_changes_no_weights_is_left_out(spec):
    assert made(spec).id == made().id
    assert made(spec).differences(made()) == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"data": {"snapshot": "s1", "rows": "r2", "dev": "d1"}}, "data.rows: was r1, is r2"),
        ({"base_id": "upturn-mini@4567"}, "base: was upturn-mini@0123, is upturn-mini@4567"),
        ({"settings": {"temperature": 0.7}}, "prompt.settings.temperature: was 0.0, is 0.7"),
        ({"spec": replace(SPEC, optim=OptimSpec(learning_rate=0.01))},
         "optim.learning_rate: was 0.001, is 0.01"),
        ({"spec": replace(SPEC, lora=LoraSpec(r=8))}, "lora.r: was 16, is 8"),
        ({"spec": replace(SPEC, run=RunSpec(device="cuda"))}, "run.device: was auto, is cuda"),
        ({"spec": replace(SPEC, lora=LoraSpec(rank_pattern={"q_proj": 4}))},
         "lora.rank_pattern.q_proj: was nothing, is 4"),
        ({"spec": replace(SPEC, optim=OptimSpec(per_device_train_batch_size=8))},
         "optim.batch_size: was 16, is 8"),
    ],
)  # fmt: skip
def test_a_change_is_named_with_both_values(changed, line):
    new = made(**changed)
    assert new.id != made().id
    assert new.differences(made()) == [line]


def test_a_template_and_a_prompt_are_compared_by_hash():
    lines = made(template="<|human|>", candidate={"states": {"p": 1}}).differences(made())
    assert [line.partition(":")[0] for line in lines] == ["template", "prompt.candidate"]


def test_all_changes_are_named_at_once_with_the_next_command(tmp_path):
    new = made(replace(SPEC, seed=3), base_id="b@9")
    error = refusal(new.differences(made()), name="tickets", folder=tmp_path)
    assert "seed: was 0, is 3" in error.what
    assert "base: was upturn-mini@0123, is b@9" in error.what
    assert "--branch NEW_NAME" in error.fix
    assert str(tmp_path) in error.fix


def test_processes_and_the_adapter_to_start_from_count(tmp_path):
    start = tmp_path / "start"
    start.mkdir()
    (start / "adapter_model.safetensors").write_bytes(b"one")
    spec = replace(SPEC, start=str(start), run=RunSpec(processes=2))
    first = made(spec)
    names = {line.partition(":")[0] for line in first.differences(made())}
    assert names == {"start", "run.processes", "optim.batch_size"}
    (start / "adapter_model.safetensors").write_bytes(b"two")
    assert [s.partition(":")[0] for s in made(spec).differences(first)] == ["start"]


def test_it_survives_a_file():
    import json

    again = Fingerprint.from_json(json.loads(json.dumps(made().to_json())))
    assert made().differences(again) == []
    assert again.hashes == made().hashes
