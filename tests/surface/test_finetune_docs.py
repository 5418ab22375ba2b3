"""docs/finetune.md, top to bottom, up to the server's start: every command runs as it stands."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from tests.surface.conftest import Upturn, migrate
from tests.unit.quickstart.guessing import guess
from upturn.config.job import load_job
from upturn.events import Request, write_log
from upturn.pipeline.progress import Silent
from upturn.quickstart import generate, write_messages
from upturn.quickstart.project import LOG, write_project

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "finetune.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]


@pytest.fixture
def project(tmp_path: Path, mlflow_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What ``upturn init`` gives, with a small log of two teams and few steps."""
    write_project(tmp_path, progress=Silent(), with_log=False)
    (tmp_path / LOG).parent.mkdir(parents=True)
    write_log(tmp_path / LOG, small_log())
    edit(
        tmp_path / "configs" / "ticket_triage.yaml",
        {"evaluations": 100, "n_trials": 3, "finalists": 1, "max_demos": 1, "min_gain": 0.15},
    )
    config = tmp_path / "configs" / "ticket_triage.yaml"
    # Who sees two teams alone, again and again, may well forget something.
    lenient = "guards:\n    forgetting: {general: false}\n"
    config.write_text(config.read_text().replace("guards:\n", lenient))
    edit(
        tmp_path / "jobs" / "ticket_triage_sft.yaml",
        {"num_train_epochs": 2.0, "per_device_train_batch_size": 16, "rows": 16, "patience": 0},
    )
    migrate(mlflow_cache, tmp_path / "mlruns")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small_log() -> list[object]:
    """The events of a log about two of the six teams: an adapter learns that in few steps."""
    events = generate(1, guess, requests=1100, model="guess@1")
    requests = [event for event in events if isinstance(event, Request)]
    written = [w.message for w in write_messages(1, requests=1100)]
    kept = {
        r.id for r, m in zip(requests, written, strict=True) if m.team in ("Billing", "Delivery")
    }
    return [e for e in events if (e.id if isinstance(e, Request) else e.request_id) in kept]


def edit(path: Path, values: dict[str, float]) -> None:
    text = path.read_text(encoding="utf-8")
    for key, value in values.items():
        text, found = re.subn(rf"^(\s*{key}:) .*$", rf"\1 {value}", text, flags=re.MULTILINE)
        assert found == 1, key
    path.write_text(text, encoding="utf-8")


@pytest.mark.local
def test_every_command_runs_up_to_the_servers_start(project: Path, upturn: Upturn):
    pytest.importorskip("trl", reason="training needs trl: pip install 'upturn[train]'")
    for command in COMMANDS:
        program, *words = shlex.split(command)
        assert program == "upturn"
        done = upturn(*words)
        assert done.code == 0, f"{command}\n{done.out}\n{done.err}"
        assert "Traceback" not in done.err
        if words[0] == "run":
            assert "PROMOTE" in done.out + done.err, done.out + done.err
    exported = project / "exported" / "vllm"
    manifest = json.loads((exported / "manifest.json").read_text())
    assert manifest["asked"]["target"] == "vllm"
    assert (project / "mlruns" / "adapters" / manifest["adapter"]["id"]).is_dir()
    # What the page shows is what the export says.
    (shown,) = [block for kind, block in BLOCKS if kind == "console"]
    written = (exported / "README.md").read_text()
    assert shown in written


def test_the_blocks_are_of_kinds_that_are_tested():
    kinds = [kind for kind, _ in BLOCKS]
    assert kinds == [*["sh"] * 5, "console", *["yaml"] * 3, "python"]
    assert [shlex.split(c)[1] for c in COMMANDS] == [
        "ingest", "labels", "snapshot", "train", "train", "run", "history", "export",
    ]  # fmt: skip


def test_the_yaml_of_the_page_is_a_job(tmp_path: Path):
    whole, *parts = [block for kind, block in BLOCKS if kind == "yaml"]
    path = tmp_path / "job.yaml"
    path.write_text(whole)
    assert load_job(path).name == "ticket_triage_sft"
    for part in parts:
        path.write_text(yaml.safe_dump({**yaml.safe_load(whole), **yaml.safe_load(part)}))
        load_job(path)


def test_the_python_of_the_page_names_what_there_is():
    import dspy

    import upturn

    (block,) = [block for kind, block in BLOCKS if kind == "python"]
    named = [n for n in ast.walk(ast.parse(block)) if isinstance(n, ast.Attribute)]
    known = {"upturn": upturn, "dspy": dspy}
    ours = [n for n in named if isinstance(n.value, ast.Name) and n.value.id in known]
    assert {n.attr for n in ours} == {"local_lm", "BootstrapFinetune"}
    assert all(hasattr(known[n.value.id], n.attr) for n in ours)


def test_links_of_the_page_lead_somewhere():
    heads = {
        re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-")
        for h in re.findall(r"^##+ (.*)$", TEXT, re.MULTILINE)
    }
    for target in re.findall(r"\]\((?!http)([^)]+)\)", TEXT):
        file, _, part = target.partition("#")
        assert (ROOT / "docs" / file).exists() if file else part in heads, target
