"""Versions with weights: compared, exported, and kept from judging themselves."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.pipeline.conftest import NOW
from tests.pipeline.weighing import LOCAL, WEIGHTS, Weighed, skilled, trained
from upturn.datasets.history import hashes_in
from upturn.datasets.split import Split
from upturn.errors import ConfigError, CorruptionError
from upturn.export import export_version, load_bundle
from upturn.export.bundle import verify
from upturn.pipeline.comparison import compare_versions
from upturn.pipeline.turn import run_turn
from upturn.pipeline.weights import champion_adapter
from upturn.pipeline.weights_leaks import check_leak
from upturn.weights.adapter import FILES, load

pytest.importorskip("torch", reason="adapters are made with torch")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("adapters")


@pytest.fixture
def promoted(project, kept):
    adapter = trained(project, kept)
    project.config.write_text(project.config.read_text().replace("name: fake", "name: upturn-mini"))
    project.engine = Weighed({adapter.id: skilled})
    assert run_turn(project.parts(*LOCAL, WEIGHTS), project.world()).version == "2"
    return project, adapter


def test_a_version_with_weights_is_compared_with_its_weights(promoted):
    project, adapter = promoted
    found = compare_versions(project.parts(), ["seed", "champion"], project.world())
    assert found.b.score == 1.0
    assert found.effect == pytest.approx(1.0 - found.a.score)
    assert f"weights: none -> {adapter.id}" in found.patch


def test_a_bundle_holds_prompt_and_weights_and_loads_both(promoted, tmp_path):
    project, adapter = promoted
    folder = export_version(project.registry.champion("tickets"), tmp_path / "out")
    assert set(verify(folder)["files"]) >= set(FILES)
    loaded = load_bundle(folder, root=project.root)
    assert loaded.settings.weights == adapter.id
    assert loaded.adapter == load(folder)
    assert (loaded.adapter.folder, loaded.adapter.id) == (folder, adapter.id)
    card = (folder / "card.md").read_text()
    assert "PeftModel.from_pretrained(base_model" in card
    assert f"the base is `{adapter.base_id}`" in card
    assert "It holds no weights" not in card

    weights = folder / FILES[0]
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(CorruptionError, match=FILES[0]):
        load_bundle(folder, root=project.root)


def test_a_version_that_lost_its_weights_is_told_and_not_run_without(promoted):
    project, adapter = promoted
    champion = project.registry.champion("tickets")
    workspace = project.parts().workspace
    for path in (workspace.adapters / adapter.id).iterdir():
        path.unlink()
    robbed = replace(champion, files={k: v for k, v in champion.files.items() if k not in FILES})
    with pytest.raises(CorruptionError, match="it lacks"):
        champion_adapter(robbed, workspace)


@pytest.fixture
def trained_elsewhere(project, kept):
    """An adapter whose card names a snapshot whose rows are those of ``split``."""

    def make(split: Split | None):
        parts = project.parts(*LOCAL)
        snapshot = parts.snapshot(NOW)
        other = "0" * 64
        adapter = trained(project, kept)
        adapter = replace(adapter, card={**adapter.card, "snapshot": other})
        if split is not None:
            listed = {
                kind: "".join(sorted(hashes_in(snapshot.manifest, split, kind)))
                for kind in ("rows", "groups", "texts")
            }
            folder = parts.workspace.snapshots / other[:12]
            folder.mkdir(parents=True)
            manifest = {"id": other, "history": {"hashes": {"train": listed}}}
            (folder / "manifest.json").write_text(json.dumps(manifest))
        return adapter, snapshot, parts.workspace

    return make


def test_an_adapter_that_was_trained_on_the_holdout_is_refused(trained_elsewhere):
    adapter, snapshot, workspace = trained_elsewhere(Split.HOLDOUT)
    with pytest.raises(ConfigError, match=r"shares .* rows, .* groups, .* texts with this turn"):
        check_leak(adapter, snapshot, workspace)


def test_an_adapter_that_was_trained_beside_the_holdout_is_not(trained_elsewhere):
    adapter, snapshot, workspace = trained_elsewhere(Split.TRAIN)
    assert check_leak(adapter, snapshot, workspace) == ""
    same = replace(adapter, card={**adapter.card, "snapshot": snapshot.id})
    assert check_leak(same, snapshot, workspace) == ""


def test_preferences_of_the_job_are_compared_too(trained_elsewhere):
    adapter, snapshot, workspace = trained_elsewhere(Split.TRAIN)
    held = _groups_of_the_holdout(snapshot)
    rows = [{"id": "pair-1", "group": "a stranger"}, {"id": "pair-2", "group": held[0]}]
    text = "\n".join(json.dumps(row) for row in rows)
    (workspace.jobs / adapter.card["job"] / "rows.jsonl").write_text(text)
    with pytest.raises(ConfigError, match=r"shares 1 groups with this turn's holdout"):
        check_leak(adapter, snapshot, workspace)


def _groups_of_the_holdout(snapshot):
    """Looks where only the gate may: this is the gate's own test."""
    lines = (snapshot.folder / "holdout.jsonl").read_text().splitlines()
    return [json.loads(line)["group"] for line in lines]


def test_training_rows_that_nobody_knows_are_said_aloud(trained_elsewhere):
    adapter, snapshot, workspace = trained_elsewhere(None)
    assert "Nobody can say" in check_leak(adapter, snapshot, workspace)


def test_what_a_card_says_is_never_a_path(trained_elsewhere):
    adapter, snapshot, workspace = trained_elsewhere(Split.TRAIN)
    outside = workspace.folder / "x"
    outside.mkdir()
    manifest = json.loads((workspace.snapshots / ("0" * 12) / "manifest.json").read_text())
    (outside / "manifest.json").write_text(json.dumps({**manifest, "id": "../x"}))
    group = _groups_of_the_holdout(snapshot)[0]
    (outside / "rows.jsonl").write_text(json.dumps({"id": "pair", "group": group}))
    (outside / "result.json").write_bytes(
        (workspace.jobs / adapter.card["job"] / "result.json").read_bytes()
    )
    card = {**adapter.card, "snapshot": "../x", "job": "../x"}
    assert "Nobody can say" in check_leak(replace(adapter, card=card), snapshot, workspace)
