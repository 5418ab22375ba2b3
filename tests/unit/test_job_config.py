"""Job files: strict, all problems at once, and the names that people bring from other tools."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from upturn.config import job_schema, load_job, project_root
from upturn.errors import ConfigError
from upturn.finetune.spec import JobSpec

JOBS = sorted((Path(__file__).parents[2] / "jobs").glob("*.yaml"))
GOOD = "kind: sft\nname: tickets\nconfig: configs/c.yaml\n"


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "jobs" / "j.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def problems(path, *overrides):
    with pytest.raises(ConfigError) as caught:
        load_job(path, list(overrides))
    return str(caught.value)


def test_defaults_and_overrides(written):
    job = load_job(written(GOOD), ["lora.r=8", "lora.target_modules=[q_proj, v_proj]", "seed=3"])
    spec = job.spec()
    assert (spec.lora.r, spec.lora.target_modules, spec.seed) == (8, ("q_proj", "v_proj"), 3)
    assert JobSpec.from_json(spec.to_json()) == spec
    assert load_job(written(job.to_yaml())) == job


def test_defaults_are_those_of_the_spec(written):
    """Two lists of defaults would drift apart."""
    assert load_job(written(GOOD)).spec() == JobSpec(name="tickets", kind="sft")


@pytest.mark.parametrize("kind", ["dpo", "kto"])
def test_preferences_have_defaults_of_their_own(written, kind):
    spec = load_job(written(GOOD), [f"kind={kind}"]).spec()
    assert spec.optim.learning_rate == 5e-5
    assert spec.preference.loss_type == {"dpo": "sigmoid", "kto": "kto"}[kind]


def test_a_rate_with_an_exponent_is_a_number(written):
    path = written(GOOD + "optim: {learning_rate: 5e-6}\n")
    assert isinstance(yaml.safe_load(path.read_text())["optim"]["learning_rate"], str)
    assert load_job(path).spec().optim.learning_rate == 5e-6
    assert load_job(path, ["optim.learning_rate=2E-3"]).spec().optim.learning_rate == 2e-3
    for text in ("fast", "1e", "nan", "1_0e3", "0x1e3"):
        assert "optim.learning_rate: " in problems(path, f"optim.learning_rate='{text}'")


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("lora_r=8", "lora_r: unknown key; did you mean lora.r?"),
        ("lora_target_modules=[a]", "did you mean lora.target_modules?"),
        ("learning_rate=0.1", "did you mean optim.learning_rate?"),
        ("lora.learning_rate=0.1", "lora.learning_rate: unknown key; did you mean optim.learning_"),
        ("micro_batch_size=4", "did you mean optim.per_device_train_batch_size?"),
        ("sequence_len=4", "did you mean optim.max_length?"),
        ("base_model=x", "did you mean base?"),
        ("rl=dpo", "did you mean kind?"),
        ("optim.seed=1", "optim.seed: unknown key; did you mean seed?"),
        ("optim.learnig_rate=1", "did you mean learning_rate?"),
        ("deepspeed=x", "did you mean run.accelerate_config?"),
        ("zzz=1", "zzz: unknown key\n"),
    ],
)
def test_unknown_keys_are_sent_where_they_belong(written, override, hint):
    assert hint in problems(written(GOOD), override)


def test_all_problems_are_told_at_once(written):
    text = problems(
        written("kind: sftt\nname: bad name\n"), "evaluation.rows=0", "lora.r=1000", "seed=x"
    )
    assert "6 problems" in text
    assert "kind: input should be 'sft', " in text
    assert ", got 'sftt'; did you mean sft?" in text
    assert "config: is required" in text
    assert "lora.r: input should be less than or equal to 512, got 1000" in text


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["preference.beta=0.2"], " read it, got kind: sft"),
        (["kind=dpo", "preference.loss_type=kto"], "must be one of sigmoid, ipo, robust"),
        (["kind=kto", "preference.loss_type=ipo"], "must be one of kto for kind: kto"),
        (["kind=dpo", "preference.loss_type=robust"], "label_smoothing must be above 0"),
        (["kind=dpo", "preference.label_smoothing=0.1"], "got 0.1 with sigmoid"),
        (["kind=kto", "optim.per_device_train_batch_size=1"], "must be >= 2 for kto"),
        (["lora.use_dora=true"], "lora.use_dora: must be false: adapters are kept and served as"),
        (["base=openai/gpt-4o"], "must be upturn-mini or hf:FOLDER"),
        (["base='hf:'"], "must be upturn-mini or hf:FOLDER"),
        (["executor=command"], "command must hold words"),
        (["executor={kind: ray, command: [a]}"], "command must hold words"),
        (["export=[tensorrt]"], "export.0: input should be 'peft'"),
        (["lora.target_modules=[]"], "must name a module"),
        (["lora.target_modules=q_proj"], "lora.target_modules"),
        (["snapshot=latest"], "snapshot: "),
        (["optim.max_steps=0"], "optim.max_steps: input should be greater"),
    ],
)
def test_what_does_not_go_together_is_refused(written, overrides, said):
    assert said in problems(written(GOOD), *overrides)


def test_executors(written):
    path = written(GOOD)
    assert load_job(path).executor.kind == "local"
    assert load_job(path, ["executor=ray"]).executor.kind == "ray"
    job = load_job(path, ["executor={kind: command, command: [sbatch, '{folder}']}"])
    assert job.executor.command == ["sbatch", "{folder}"]


def test_paths_start_at_the_folder_that_holds_jobs(written):
    path = written(GOOD)
    assert project_root(path) == path.parent.parent


def test_a_missing_file_says_so(tmp_path):
    assert "no such job file" in problems(tmp_path / "j.yaml")


@pytest.mark.parametrize("path", JOBS, ids=lambda p: p.stem)
def test_shipped_jobs_are_valid_and_name_a_config_that_exists(path):
    job = load_job(path)
    assert path.stem == job.name
    assert (project_root(path) / job.config).is_file()
    jsonschema.validate(yaml.safe_load(path.read_text()), job_schema())


def test_shipped_jobs_are_there():
    names = {p.stem for p in JOBS}
    kinds = {"sft", "dpo", "kto"}
    assert {f"ticket_triage_{kind}" for kind in kinds} | {"gpu_template"} <= names
