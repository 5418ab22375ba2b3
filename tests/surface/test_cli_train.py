"""``upturn train`` from outside: what it prints, its exit codes; a dry run writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the [local] extra")

from tests.pipeline.conftest import CONFIG, PROGRAM, events
from tests.pipeline.test_train_job import JOB
from tests.surface.conftest import Upturn
from upturn.cli.training_bar import Pace, TrainingLog
from upturn.events import write_log

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("project")
    for name in ("programs", "configs", "jobs"):
        (made / name).mkdir()
    (made / "programs" / "triage.py").write_text(PROGRAM)
    (made / "configs" / "tickets.yaml").write_text(CONFIG)
    (made / "jobs" / "tickets_sft.yaml").write_text(JOB)
    write_log(made / "log.jsonl", events())
    return made


def test_a_dry_run_shows_the_rows_and_writes_nothing(root: Path, upturn: Upturn):
    ran = upturn("train", root / "jobs" / "tickets_sft.yaml", "--dry-run", "--json")
    found = json.loads(ran.out)
    assert ran.code == 0
    assert found["problems"] == []
    assert found["counts"]["kept"] > 100
    assert len(found["samples"]) == 3
    assert not (root / "mlruns").exists()


def test_problems_of_a_dry_run_are_exit_2(root: Path, upturn: Upturn):
    ran = upturn("train", root / "jobs" / "tickets_sft.yaml", "optim.max_length=20", "--dry-run")
    assert ran.code == 2
    assert "max_length" in ran.out
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["optim.lerning_rate=1.0e-3"], "did you mean learning_rate?"),
        (["optim.max_length=20"], "a row must be left to train on"),
        (["--branch", "../else"], "a job's name is letters"),
        (["--branch", "early"], "must have a whole checkpoint"),
        (["start=nothing"], "must be a fine-tune job, an adapter's id or its folder"),
    ],
)
def test_bad_input_is_exit_2_without_a_traceback(
    arguments: list[str], told: str, root: Path, upturn: Upturn
):
    ran = upturn("train", root / "jobs" / "tickets_sft.yaml", *arguments)
    assert ran.code == 2
    assert told in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_a_pace_is_steps_a_second_and_the_time_left():
    now = iter([10.0, 12.0, 14.0])
    pace = Pace(lambda: next(now))
    assert pace.text(10) == ""
    for step in (1, 2, 5):
        pace.at(step)
    assert pace.text(25) == "1 steps/s, 0:20 left"


def test_a_log_gets_a_line_a_tenth(capsys: pytest.CaptureFixture[str]):
    with TrainingLog().meter("train", 50) as tell:
        for step in range(1, 51):
            tell(step, "loss 0.5")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert "50 of 50  loss 0.5" in lines[-1]
