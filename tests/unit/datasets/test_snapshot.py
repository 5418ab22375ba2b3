"""Snapshots: named by content, whole or absent, verified on every load."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from upturn.datasets import Snapshot, SplitRules, freeze, preview
from upturn.errors import CorruptionError, DataError, StorageError
from upturn.records import Example, content_hash


def rows(n: int = 60) -> list[Example]:
    return [
        Example(
            id=f"r{i:03}",
            inputs={"message": f"secret-{i:03}"},
            labels={"team": "billing" if i % 3 else "returns"},
            group=f"c{i // 2}",
            time=f"2026-09-{1 + i // 3:02}T10:00:00+00:00",
            event_ids=(f"r{i:03}", f"fb-{i:03}"),
        )
        for i in range(n)
    ]


def frozen(folder: Path, examples: list[Example] | None = None, **over: Any) -> Snapshot:
    provenance = {"log": "abc"}
    values: dict[str, Any] = {"rules": SplitRules(), "provenance": provenance, **over}
    return freeze(examples or rows(), folder=folder, **values)


def test_a_snapshot_states_its_sizes_and_where_rows_came_from(tmp_path: Path):
    snapshot = frozen(tmp_path, abstained={"no_feedback": 7}, dropped={"repeated": 2})
    assert snapshot.folder == tmp_path / snapshot.id[:12]
    assert sorted(p.name for p in snapshot.folder.iterdir()) == [
        "dev.jsonl",
        "holdout.jsonl",
        "manifest.json",
        "train.jsonl",
    ]
    assert [len(snapshot.train), len(snapshot.dev), snapshot.holdout.rows] == [22, 20, 18]
    assert snapshot.manifest["sizes"]["holdout"] == {"rows": 18, "groups": 9}
    assert snapshot.manifest["abstained"] == {"no_feedback": 7}
    assert snapshot.manifest["dropped"] == {"repeated": 2}
    assert snapshot.manifest["provenance"] == {"log": "abc"}
    teams = [e.labels["team"] for e in snapshot.train]
    assert snapshot.manifest["labels"]["train"]["team"] == {
        "billing": teams.count("billing"),
        "returns": teams.count("returns"),
    }
    assert "holdout" not in snapshot.manifest["labels"]
    assert snapshot.train[0].event_ids[1].startswith("fb-")
    assert (snapshot.holdout.oldest, snapshot.holdout.newest) == (
        "2026-09-15T10:00:00+00:00",
        "2026-09-20T10:00:00+00:00",
    )


def test_any_order_of_rows_is_the_same_snapshot_and_writes_nothing_new(tmp_path: Path):
    first = frozen(tmp_path)
    stamps = {p: p.stat().st_mtime_ns for p in first.folder.iterdir()}
    for seed in range(5):
        shuffled = rows()
        random.Random(seed).shuffle(shuffled)
        assert frozen(tmp_path, shuffled, provenance={"log": "another"}) == first
    assert {p: p.stat().st_mtime_ns for p in first.folder.iterdir()} == stamps
    assert [p.name for p in tmp_path.iterdir()] == [first.id[:12]]


def test_another_label_rule_or_row_is_another_snapshot(tmp_path: Path):
    changed = rows()
    changed[0] = Example(**{**changed[0].__dict__, "weight": 0.5})
    ids = {
        frozen(tmp_path).id,
        frozen(tmp_path, changed).id,
        frozen(tmp_path, rows(59)).id,
        frozen(tmp_path, rules=SplitRules(seed=1)).id,
    }
    assert len(ids) == 4


def test_the_same_holdout_has_the_same_seal_in_another_snapshot(tmp_path: Path):
    a, b = frozen(tmp_path), frozen(tmp_path, rules=SplitRules(seed=1))
    assert a.id != b.id
    assert a.holdout == b.holdout


def test_loading_gives_what_was_frozen(tmp_path: Path):
    snapshot = frozen(tmp_path)
    assert Snapshot.load(str(snapshot.folder)) == snapshot
    known = {e.id: e for e in rows()}
    assert all(known[e.id] == e for e in snapshot.train + snapshot.dev)


@pytest.mark.parametrize("name", ["train.jsonl", "dev.jsonl", "holdout.jsonl"])
def test_a_changed_file_is_named_with_both_hashes_and_the_next_command(tmp_path: Path, name: str):
    snapshot = frozen(tmp_path)
    path = snapshot.folder / name
    path.write_bytes(path.read_bytes().replace(b"returns", b"billing", 1))
    with pytest.raises(CorruptionError) as caught:
        Snapshot.load(snapshot.folder)
    expected = snapshot.manifest["sha256"][name.removesuffix(".jsonl")]
    pattern = rf"{name}: the file must have sha256 {expected}, found [0-9a-f]{{64}}\n  next: rm -r"
    assert re.search(pattern, str(caught.value))
    assert caught.value.exit_code == 2
    with pytest.raises(CorruptionError):
        frozen(tmp_path)


def test_a_preview_is_what_would_be_frozen_and_writes_nothing(tmp_path: Path):
    seen = preview(rows(), rules=SplitRules())
    assert list(tmp_path.iterdir()) == []
    snapshot = frozen(tmp_path)
    assert (seen.train, seen.dev) == (snapshot.train, snapshot.dev)
    assert seen.holdout == snapshot.holdout


def test_a_missing_file_and_a_changed_manifest_are_corruption(tmp_path: Path):
    snapshot = frozen(tmp_path)
    path = snapshot.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["abstained"] = {"none": 0}
    path.write_text(json.dumps(manifest))
    with pytest.raises(CorruptionError, match="the manifest must have sha256"):
        Snapshot.load(snapshot.folder)
    path.write_text(path.read_text()[:50])
    with pytest.raises(CorruptionError, match="the manifest must be whole JSON"):
        Snapshot.load(snapshot.folder)
    path.unlink()
    with pytest.raises(DataError, match="must hold a manifest, found none"):
        Snapshot.load(snapshot.folder)


def test_a_manifest_that_names_other_content_is_corruption(tmp_path: Path):
    snapshot = frozen(tmp_path)
    path = snapshot.folder / "manifest.json"
    for change in ({"id": "0" * 64}, {"holdout": {**snapshot.holdout.to_json(), "sha256": "0"}}):
        manifest = {**snapshot.manifest, **change}
        path.write_text(json.dumps({**manifest, "manifest_sha256": content_hash(manifest)}))
        with pytest.raises(CorruptionError, match="the manifest must name its content"):
            Snapshot.load(snapshot.folder)


def test_another_format_is_told_apart_from_corruption(tmp_path: Path):
    snapshot = frozen(tmp_path)
    manifest = {**snapshot.manifest, "format": 2}
    text = json.dumps({**manifest, "manifest_sha256": content_hash(manifest)})
    (snapshot.folder / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="must be of format 1, got 2"):
        Snapshot.load(snapshot.folder)


def test_a_missing_split_file_is_corruption(tmp_path: Path):
    snapshot = frozen(tmp_path)
    (snapshot.folder / "dev.jsonl").unlink()
    with pytest.raises(CorruptionError, match="found no file"):
        Snapshot.load(snapshot.folder)


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="the snapshot must be writable") as caught:
        frozen(tmp_path / "file")
    assert "df -h" in caught.value.fix
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_kill_in_mid_write_leaves_only_whole_snapshots(tmp_path: Path):
    program = (
        "import sys\n"
        "from upturn.datasets import SplitRules, freeze\n"
        "from upturn.records import Example\n"
        "rows = [Example(id=f'{i:05}', inputs={'message': 'x' * 300}, labels={'t': 'a'},\n"
        "                group=f'{i:05}', time='2026-09-01T10:00:00+00:00') for i in range(3000)]\n"
        "for seed in range(10**6):\n"
        "    freeze(rows, rules=SplitRules(seed=seed), folder=sys.argv[1], provenance={})\n"
        "    print(seed, flush=True)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    folders = [p for p in tmp_path.iterdir() if not p.name.startswith(".")]
    assert len(folders) >= 2
    assert all(Snapshot.load(folder).holdout.rows == 900 for folder in folders)


def test_repeated_ids_are_refused_and_nothing_is_written(tmp_path: Path):
    with pytest.raises(DataError, match=r"unique ids, 60 repeat: \['r000', 'r001', 'r002'\]"):
        frozen(tmp_path, rows() + rows())
    assert list(tmp_path.iterdir()) == []
