"""A version leaves the house whole, checked, and never over something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from upturn.errors import CorruptionError, InputError, StorageError
from upturn.export import export_version, verify
from upturn.records import Candidate, PromptState
from upturn.testing.tracker import MemoryRegistry
from upturn.tracking.versions import RegisteredVersion

CANDIDATE = Candidate(
    states={"predict": PromptState(instruction="Route it.", demos=({"text": "a", "team": "x"},))},
    choices={"predict.instruction": "i-007"},
)
REPORT = {
    "verdict": "PROMOTE",
    "effect": 0.125,
    "low": 0.05,
    "high": 0.2,
    "confidence": 0.95,
    "p_value": 0.001,
    "alpha": 0.025,
    "test": "exact McNemar",
    "n": 240,
    "groups": 80,
    "look": 1,
    "holdout": "ab" * 32,
    "challenger_score": 0.75,
    "baseline_score": 0.625,
    "guards": [{"name": "cost per row", "note": "not judged: all from the cache"}],
}


PROMPT = '[{"role": "user", "content": "hé {text}"}]'.encode()


def registered(
    program_json: bytes | None = b"{}", report: dict[str, object] | None = None
) -> RegisteredVersion:
    registry = MemoryRegistry()
    files = {"prompt.json": PROMPT}
    if program_json is not None:
        files["program.json"] = program_json
    version = registry.register(
        CANDIDATE,
        program="triage",
        turn="t1",
        report_json=REPORT if report is None else report,
        files=files,
        facts={"snapshot": "cd" * 32, "model": "upturn-mini@00", "program": "p.py:Triage"},
    )
    return registry.load("triage", version)


def test_a_bundle_verifies_and_says_what_it_is(tmp_path: Path) -> None:
    out = export_version(registered(), tmp_path / "a" / "out")
    names = {p.name for p in out.iterdir()}
    expected = {"program.json", "candidate.json", "report.json", "card.md", "prompt.json"}
    assert names == expected | {"manifest.json"}
    manifest = verify(out)
    assert (manifest["version"], manifest["verdict"]) == ("1", "PROMOTE")
    assert manifest["facts"]["model"] == "upturn-mini@00"
    assert Candidate.from_json(json.loads((out / "candidate.json").read_text())) == CANDIDATE
    assert (out / "prompt.json").read_bytes() == PROMPT
    assert "`p.py:Triage`" in (out / "card.md").read_text()
    assert [p.name for p in out.parent.iterdir()] == ["out"], "nothing half-made is left beside it"


def test_the_card_states_score_rows_interval_lineage_and_limits(tmp_path: Path) -> None:
    out = export_version(registered(), tmp_path / "out")
    text = (out / "card.md").read_text()
    assert "0.750 on 240 holdout rows in 80 groups" in text
    assert "+0.125, 0.95 interval +0.050 to +0.200" in text
    assert "snapshot: `" + "cd" * 32 in text
    assert "predict.instruction: `i-007`" in text
    assert "cost per row: not judged" in text


def test_a_version_that_no_gate_judged_says_so(tmp_path: Path) -> None:
    out = export_version(registered(report={}), tmp_path / "out")
    assert "Never judged by a gate" in (out / "card.md").read_text()
    assert verify(out)["verdict"] == ""


def test_dspy_loads_the_state(tmp_path: Path) -> None:
    dspy = pytest.importorskip("dspy")
    saved = dspy.Predict("text -> team")
    saved.signature = saved.signature.with_instructions("Route it.")
    saved.demos = [{"text": "a", "team": "x"}]
    out = export_version(registered(json.dumps(saved.dump_state()).encode()), tmp_path / "out")
    loaded = dspy.Predict("text -> team")
    loaded.load(str(out / "program.json"))
    assert loaded.signature.instructions == "Route it."
    assert [dict(d) for d in loaded.demos] == [{"text": "a", "team": "x"}]


def test_the_same_export_again_changes_nothing_and_another_is_refused(tmp_path: Path) -> None:
    out = export_version(registered(), tmp_path / "out")
    before = {p.name: p.stat().st_mtime_ns for p in out.iterdir()}
    export_version(registered(), out)
    assert {p.name: p.stat().st_mtime_ns for p in out.iterdir()} == before
    with pytest.raises(StorageError, match="never overwrites") as caught:
        export_version(registered(b'{"other": 1}'), out)
    assert caught.value.exit_code == 2
    assert {p.name: p.stat().st_mtime_ns for p in out.iterdir()} == before


def test_an_empty_folder_is_filled_and_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    verify(export_version(registered(), tmp_path / "empty"))
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError):
            export_version(registered(), out)
    assert (tmp_path / "file").read_text() == "mine"


def test_without_a_program_state_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must hold program.json"):
        export_version(registered(None), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["change", "remove", "add", "manifest"])
def test_verify_finds_every_kind_of_damage(tmp_path: Path, damage: str) -> None:
    out = export_version(registered(), tmp_path / "out")
    if damage == "change":
        (out / "candidate.json").write_text("{}")
    elif damage == "remove":
        (out / "candidate.json").unlink()
    elif damage == "add":
        (out / "extra.txt").write_text("x")
    else:
        (out / "manifest.json").write_text("{")
    with pytest.raises(CorruptionError) as caught:
        verify(out)
    name = {"add": "extra.txt", "manifest": "manifest.json"}.get(damage, "candidate.json")
    assert name in caught.value.what
