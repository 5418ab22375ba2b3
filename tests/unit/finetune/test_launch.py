"""Which command a job becomes."""

import sys
from pathlib import Path

import pytest

from upturn.errors import ConfigError
from upturn.finetune.launch import CommandLauncher
from upturn.finetune.launch.command import fill
from upturn.finetune.launch.local import local_command
from upturn.finetune.spec import RunSpec

FOLDER = Path("/jobs/tickets")
VALUES = {"folder": str(FOLDER), "name": "tickets"}
WORKER = ["-m", "upturn.finetune.worker", str(FOLDER)]


def test_one_process_is_plain_python():
    assert local_command(RunSpec(), FOLDER) == [sys.executable, *WORKER]


def test_several_go_through_torchrun():
    command = local_command(RunSpec(processes=2), FOLDER)
    assert command[1:3] == ["-m", "torch.distributed.run"]
    assert "--nproc-per-node=2" in command
    assert command[-3:] == WORKER


def test_an_accelerate_config_goes_through_accelerate(tmp_path):
    config = tmp_path / "hosts.yaml"
    config.write_text("distributed_type: MULTI_GPU\n")
    command = local_command(RunSpec(accelerate_config=str(config), processes=2), FOLDER)
    assert command[1:5] == ["-m", "accelerate.commands.launch", "--config_file", str(config)]
    assert command[-3:] == WORKER


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("distributed_type: FSDP\n", "must keep weights whole .*, got FSDP"),
        ("distributed_type: deepspeed\n", "got DEEPSPEED"),
        ("num_processes: 2\n", "with a distributed_type"),
        ("- a\n", "with a distributed_type"),
    ],
)
def test_an_accelerate_config_that_cuts_weights_is_refused(tmp_path, text, said):
    config = tmp_path / "a.yaml"
    config.write_text(text)
    with pytest.raises(ConfigError, match=said):
        local_command(RunSpec(accelerate_config=str(config)), FOLDER)


def test_an_accelerate_config_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        local_command(RunSpec(accelerate_config=str(tmp_path / "absent.yaml")), FOLDER)


def test_a_template_is_filled_word_by_word_and_braces_can_be_meant():
    template = ["sbatch", "--wait", "--job-name={name}", "{folder}/run.sh", "{{x}}"]
    assert fill(template, VALUES) == [
        *("sbatch", "--wait", "--job-name=tickets", "/jobs/tickets/run.sh", "{x}")
    ]


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (["run", "{foldr}"], "got {foldr}"),
        (["run", "{folder.parent}"], "got {folder.parent}"),
        (["run", "{folder!r}"], "got {folder!r}"),
        (["run", "{folder:>9}"], "got {folder:>9}"),
        (["run", "{}"], "got {}"),
        (["run", "{folder"], "braces must be closed"),
        (["run"], "with {folder} or {name} in one"),
        ([], "with {folder} or {name} in one"),
    ],
)
def test_a_template_that_cannot_work_is_refused_at_once(template, told):
    with pytest.raises(ConfigError) as caught:
        CommandLauncher(template=template)
    assert told in caught.value.what
