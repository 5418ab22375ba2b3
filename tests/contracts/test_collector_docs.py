"""docs/collector.md, from top to bottom: every block runs, and what it sends is in the store."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.unit.collector.serving import process
from upturn.collector.token_file import read_tokens
from upturn.store import FeedbackStore

TEXT = (Path(__file__).parents[2] / "docs" / "collector.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
ENTRY = f'exec {sys.executable} -c "from upturn.cli import main; main()" "$@"\n'


#: The blocks run with the client's own settings, but for two: on a slow machine the end of a block
#: would leave on disk what two seconds were too short for.
PATIENT = """
from upturn.client import Options
Options.__init__.__kwdefaults__.update(timeout_s=120.0, exit_s=120.0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an ``upturn`` command in its path."""
    command = tmp_path / "bin" / "upturn"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\n{ENTRY}")
    command.chmod(0o755)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(PATIENT)
    return tmp_path


def test_the_document_runs(folder: Path):
    environment = {
        **os.environ,
        "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(folder / "config"),
        "PYTHONWARNINGS": "ignore",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "120",
    }
    paths = [str(folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
    patient = {**environment, "PYTHONPATH": os.pathsep.join(paths)}
    start = BLOCKS[0][1].replace("8787", "0")
    with process(["sh", "-c", f"exec {start}"], cwd=folder, env=environment) as running:
        exports: list[str] = []
        for language, block in BLOCKS[1:]:
            block = block.replace("http://127.0.0.1:8787", running.url)
            if language == "sh" and block.startswith("export"):
                exports.append(block)
            elif language in ("sh", "python"):
                script = folder / f"block.{language}"
                script.write_text(block)
                runner = sys.executable if language == "python" else "sh -e"
                done = subprocess.run(
                    ["sh", "-c", "\n".join([*exports, f"{runner} {script}"])],
                    cwd=folder,
                    env=patient,
                    capture_output=True,
                    text=True,
                    timeout=600,
                )
                assert done.returncode == 0, block + done.stderr
                assert "Traceback" not in done.stderr, block + done.stderr
        running.process.terminate()
        assert running.wait() == 0
    assert not (folder / "upturn-spill").exists()
    with FeedbackStore.open(str(folder / "feedback.db")) as store:
        found = {(r.program, str(sorted(r.inputs))) for r in store.requests()}
        joined = {r.program: [(f.signal, f.value) for f in fs] for r, fs in store.joined()}
        counts = store.counts()
    assert found == {
        ("triage", "['message']"),
        ("shout", "['text']"),
        ("chat", "['messages']"),
    }
    assert (counts.requests, counts.feedback, counts.orphans) == (5, 3, 0)
    assert set(joined) == {"triage"}


def test_the_token_file_of_the_document_is_one(tmp_path: Path):
    ((_, block),) = [b for b in BLOCKS if b[0] == "yaml"]
    assert len(yaml.safe_load(block)) == 2
    path = tmp_path / "tokens.yaml"
    path.write_text(block)
    first, second = read_tokens(path)
    assert first.programs is None
    assert second.programs == {"triage"}
    assert sorted(second.may) == ["feedback", "requests"]


def test_every_block_is_of_a_kind_that_is_tested():
    assert [language for language, _ in BLOCKS] == [
        "sh", "sh", "python", "python", "python", "sh", "python", "sh", "yaml",
    ]  # fmt: skip
