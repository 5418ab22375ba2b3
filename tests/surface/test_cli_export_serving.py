"""``upturn export --to``: a version with weights, an adapter by id or folder, and refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="exports of weights need upturn[train]")
pytest.importorskip("transformers", reason="exports of weights need upturn[train]")
pytest.importorskip("peft", reason="exports of weights need upturn[train]")

from tests.contracts.serving_sources import make_adapter
from tests.surface.conftest import Finished, Upturn
from upturn import mini
from upturn.pipeline.serving import source
from upturn.pipeline.weights import files_of
from upturn.registry import MlflowRegistry
from upturn.tracking.mlflow_store import open_store
from upturn.weights.adapter import Adapter, store

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(mini.weights_dir(), tmp_path_factory.mktemp("trained") / "final")


def keep(trained: Path, workspace: Path) -> Adapter:
    base_id = f"upturn-mini@{mini.content_hash()}"
    return store(trained, workspace / "adapters", base_id=base_id, card={"licence": "mine"})


def register(finished: Finished, adapter: Adapter) -> str:
    """Registers version 2's prompt with the adapter, and returns the version's number."""
    opened = open_store(finished.workspace)
    try:
        registry = MlflowRegistry(opened)
        found = registry.load("tickets", "2")
        candidate = replace(found.candidate, settings={"weights": adapter.id})
        names = ("program.json", "prompt.json")
        files = {name: found.files[name] for name in names} | files_of(adapter)
        return registry.register(
            candidate, program="tickets", turn="t", report_json={}, files=files
        )
    finally:
        opened.close()


def test_a_version_with_weights_for_a_server(finished: Finished, upturn: Upturn, trained: Path):
    adapter = keep(trained, finished.workspace)
    version = register(finished, adapter)
    told = upturn("export", f"tickets@{version}", "--to", "vllm", "--out", "out", "--json").json
    name = f"tickets-{version}"
    expected = ["README.md", "card.json", "manifest.json", "smoke.py"]
    expected += [f"adapters/{name}/adapter_{part}" for part in ("config.json", "model.safetensors")]
    assert told["files"] == sorted(expected)
    assert {"target", "check", "tolerance", "value", "ok"} == set(told["verified"][0])
    assert all(check["ok"] for check in told["verified"])
    assert told["verified"][-1]["value"] <= told["verified"][-1]["tolerance"] == 1e-5
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert manifest["adapter"]["id"] == adapter.id
    assert manifest["base"] == {"id": adapter.base_id, "named_by_adapter": True}
    assert "{message}" in Path("out/smoke.py").read_text()  # it asks as the program asks
    again = upturn("export", f"tickets@{version}", "--to", "vllm", "--out", "out")
    assert again.code == 0
    assert "not checked: vLLM was not started here" in again.out


def test_names_that_mean_weights(finished: Finished, trained: Path):
    adapter = keep(trained, finished.workspace)
    version = register(finished, adapter)
    for name in (f"tickets@{version}", f"tickets/{version}", adapter.id, adapter.id[:8]):
        found = source(name, workspace=finished.workspace)
        assert isinstance(found.adapter, Adapter)
        assert (found.adapter.id, found.base) == (adapter.id, mini.weights_dir())
    bare = source(str(trained), workspace=finished.root / "elsewhere", base="upturn-mini")
    assert (bare.adapter, bare.name, bare.base) == (trained, "final", mini.weights_dir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tickets", "--to", "vllm"], "has a prompt only"),
        (["nobody", "--to", "vllm"], "PROGRAM@VERSION"),
        (["tickets", "--to", "vlm"], "did you mean vllm"),
        (["FOLDER", "--to", "peft", "--base", "nowhere"], "--base must be"),
        (["FOLDER", "--to", "peft", "--base", "upturn-mini", "--dtype", "f8"], "--dtype must be"),
        (["FOLDER", "--to", "peft", "--base", "upturn-mini", "--name", "a b"], "--name must be"),
        (["mlruns/adapters", "--to", "peft"], "must hold adapter_config.json"),
    ],
)
def test_refusals_name_the_rule(finished: Finished, upturn: Upturn, trained, arguments, message):
    keep(trained, finished.workspace)
    named = [str(trained) if a == "FOLDER" else a for a in arguments]
    refused = upturn("export", *named, "--out", "out")
    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err
    assert not Path("out").exists()
