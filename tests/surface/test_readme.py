"""The README does what it says: every shell block runs, every make target exists, numbers fit."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.quickstart.guessing import guess
from upturn.events import write_log
from upturn.lm.connect import connect_engine, identify
from upturn.pipeline.parts import Parts
from upturn.pipeline.progress import Silent
from upturn.pipeline.seams import World
from upturn.pipeline.turn import run_turn
from upturn.pipeline.world import mlflow_store
from upturn.quickstart import generate
from upturn.quickstart.project import LOG, write_project
from upturn.testing.engine import FakeEngine

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.strip()]


ALWAYS = "[[ ## team ## ]]\nBilling\n\n[[ ## priority ## ]]\nlow\n\n[[ ## completed ## ]]\n"


def nearest(request):
    """Answers as the demo that shares most words with the message."""
    if len(request.messages) < 3:
        return ALWAYS
    texts = [m.text for m in request.messages]
    words = set(texts[-1].split("[[ ## message ## ]]")[1].split("Respond with")[0].lower().split())
    demos = list(zip(texts[:-1:2], texts[1:-1:2], strict=True))
    return max(demos, key=lambda d: len(words & set(d[0].lower().split())))[1]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """What `make demo` leaves, with a scripted model in place of the embedded one."""
    folder = tmp_path_factory.mktemp("demo")
    write_project(folder, progress=Silent(), with_log=False)
    (folder / LOG).parent.mkdir(parents=True)
    write_log(folder / LOG, generate(1, guess, model="guess@1"))
    config = folder / "configs" / "ticket_triage.yaml"
    # The page's commands do not depend on how long the search was.
    config.write_text(re.sub(r"evaluations: \d+", "evaluations: 600", config.read_text()))
    parts = Parts.load(config)

    @contextmanager
    def connect(parts, cache, meter):
        with connect_engine(
            FakeEngine(nearest),
            model_id=identify(parts.model),
            cache=cache,
            meter=meter,
            spec=parts.model,
        ) as connection:
            yield connection

    world = World(
        identify=lambda parts: identify(parts.model),
        connect=connect,
        store=mlflow_store,
        clock=lambda: datetime.now(UTC),
        progress=Silent(),
        who="tester",
    )
    result = run_turn(parts, world)
    assert result.verdict == "PROMOTE"
    return folder


def test_there_are_blocks_to_run():
    assert len(BLOCKS) == 5
    assert len(COMMANDS) == 18
    assert len(PYTHON) == 1


def test_the_training_commands_are_those_that_the_fine_tuning_page_runs():
    (block,) = re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    page = (ROOT / "docs" / "finetune.md").read_text(encoding="utf-8")
    run = "".join(re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)).splitlines()
    assert set(block.splitlines()) <= set(run)


@pytest.mark.parametrize("target", [c for c in COMMANDS if c.startswith("make ")])
def test_make_targets_exist(target):
    made = subprocess.run([*target.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert {"make demo": "upturn run", "make test": "pytest", "make check": "ruff"}[target] in (
        made.stdout
    )


@pytest.mark.local
def test_every_other_command_runs_in_the_order_of_the_page(project):
    bin_folder = Path(sys.executable).parent
    assert shutil.which("upturn", path=str(bin_folder)), "install the project first: make test"
    shutil.copytree(ROOT / "docs" / "examples", project / "docs" / "examples")
    environment = {**os.environ, "XDG_CONFIG_HOME": str(project / "home")}
    for command in COMMANDS:
        if command.startswith("make "):
            continue
        done = subprocess.run(
            f"{bin_folder}/{command}",
            shell=True,
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert (project / "exported" / "ticket_triage" / "manifest.json").exists()


def test_the_import_labels_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (shown,) = re.findall(r"^```text\n(\d+ of \d+ requests have.*?)^```", README, re.M | re.S)
    bin_folder = Path(sys.executable).parent
    for command in [c for c in COMMANDS if "docs/examples" in c] + [
        "upturn labels --store mlruns/feedback.db"
    ]:
        command = command.replace("mlruns/feedback.db", str(tmp_path / "feedback.db"))
        done = subprocess.run(
            f"{bin_folder}/{command}", shell=True, cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    printed = [line.rstrip() for line in done.stdout.splitlines()]
    for line in shown.splitlines():
        assert line.rstrip() in printed


RECORDED = """
import dspy
from programs.ticket_triage import TicketTriage
from dspy.utils import DummyLM

dspy.configure(lm=DummyLM([{"team": "Billing", "priority": "low"}]))
program = TicketTriage()
"""


def test_the_three_lines_record_a_program(project, tmp_path):
    (block,) = PYTHON
    environment = {**os.environ, "PYTHONPATH": str(project), "XDG_CONFIG_HOME": str(tmp_path)}
    for name in ("UPTURN_COLLECTOR_URL", "UPTURN_TOKEN", "UPTURN_TOKEN_FILE"):
        environment.pop(name, None)
    run = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "-c", RECORDED + block], **run)
    assert done.returncode == 0, done.stderr
    upturn = str(Path(sys.executable).parent / "upturn")
    read = subprocess.run([upturn, "ingest", "upturn-spill", "--store", "f.db", "--json"], **run)
    assert read.returncode == 0, read.stderr
    counts = json.loads(read.stdout)
    assert (counts["requests"], counts["feedback"], counts["rejected"]) == (1, 1, 0)
    labels = subprocess.run([upturn, "labels", "--store", "f.db", "--json"], **run)
    fields = {r["field"]: r["label"] for r in map(json.loads, labels.stdout.splitlines())}
    assert fields == {"team": "Returns", "priority": "low"}


def test_links_lead_to_files():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_yaml_of_the_readme_is_a_config(tmp_path):
    from upturn.config import load_config

    (block,) = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    path = tmp_path / "x.yaml"
    path.write_text(block)
    assert load_config(path).promotion == "ask"
