"""What changed between two snapshots, with both holdouts sealed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from upturn.datasets import Order, Snapshot, SplitRules, Terms, freeze
from upturn.datasets.diff import Relabelled, compare_snapshots, find_snapshot
from upturn.errors import DataError
from upturn.records import Example, content_hash


def row(n: int, *, team: str = "billing") -> Example:
    return Example(
        id=f"row-{n:03}",
        inputs={"message": f"secret-{n:03}"},
        labels={"team": team},
        group=f"customer-{n:03}",
        time=f"2026-09-{1 + n // 10:02}T10:00:00+00:00",
    )


def frozen(folder: Path, rows: Sequence[Example], rules: SplitRules | None = None) -> Snapshot:
    return freeze(rows, rules=rules or SplitRules(), folder=folder, provenance={})


def test_added_removed_and_moved_rows_are_counted_in_all_splits(tmp_path: Path):
    old = frozen(tmp_path, [row(n) for n in range(100)])
    new = frozen(tmp_path, [row(n) for n in range(20, 150)])
    found = compare_snapshots(old, new)
    assert found.rows == {"train": (35, 46), "dev": (35, 45), "holdout": (30, 39)}
    assert sum(found.added.values()) == 50
    assert sum(found.removed.values()) == 20
    assert found.added["holdout"] == 39
    assert found.removed["holdout"] == 0
    left = sum(n for (was, _), n in found.moved.items() if was == "holdout")
    assert left == 30
    for split, (before, after) in found.rows.items():
        came = sum(n for (_, now), n in found.moved.items() if now == split)
        went = sum(n for (was, _), n in found.moved.items() if was == split)
        assert after == before + found.added[split] - found.removed[split] + came - went


def test_labels_that_changed_are_told_for_open_rows_only(tmp_path: Path):
    old = frozen(tmp_path, [row(n) for n in range(100)])
    new = frozen(
        tmp_path, [row(n, team="returns" if n % 5 == 0 else "billing") for n in range(100)]
    )
    found = compare_snapshots(old, new)
    in_open = {e.id for e in old.train + old.dev}
    assert {r.id for r in found.relabelled} == {f"row-{n:03}" for n in range(0, 100, 5)} & in_open
    assert len(found.relabelled) == 14
    assert found.relabelled[0] == Relabelled(
        id="row-000",
        split="dev" if "row-000" in {e.id for e in new.dev} else "train",
        field="team",
        before="billing",
        after="returns",
    )
    changed = sum(
        after - before for (_, _, t), (before, after) in found.labels.items() if t == "returns"
    )
    assert changed == 14
    text = json.dumps(found.to_json())
    hidden = {f"{n:03}" for n in range(70, 100)}
    assert not any(f"row-{n}" in text or f"secret-{n}" in text for n in hidden)


def test_rules_that_changed_are_told(tmp_path: Path):
    rows = [row(n) for n in range(60)]
    old = frozen(tmp_path, rows)
    new = freeze(
        [replace(e, consent=("train", "evaluate")) for e in rows],
        rules=SplitRules(order=Order.HASH, dev=0.3),
        folder=tmp_path,
        provenance={},
        terms=Terms(unstated="deny"),
    )
    assert compare_snapshots(old, new).rules == {
        "split.dev": (0.35, 0.3),
        "split.order": ("time", "hash"),
        "unstated_consent": ("allow", "deny"),
    }


def test_a_snapshot_is_the_same_as_itself(tmp_path: Path):
    one = frozen(tmp_path, [row(n) for n in range(60)])
    found = compare_snapshots(one, one)
    assert found.same
    assert found.to_json() == {
        "old": one.id,
        "new": one.id,
        "same": True,
        "rows": {
            "train": {"before": 21, "after": 21},
            "dev": {"before": 21, "after": 21},
            "holdout": {"before": 18, "after": 18},
        },
        "added": {"train": 0, "dev": 0, "holdout": 0},
        "removed": {"train": 0, "dev": 0, "holdout": 0},
        "moved": [],
        "relabelled": [],
        "labels": {},
        "rules": {},
        "holdouts_known": True,
    }


def test_a_manifest_without_hashes_hides_its_holdout(tmp_path: Path):
    old = frozen(tmp_path, [row(n) for n in range(60)])
    manifest = {k: v for k, v in old.manifest.items() if k != "history"}
    text = json.dumps({**manifest, "manifest_sha256": content_hash(manifest)})
    (old.folder / "manifest.json").write_text(text)
    found = compare_snapshots(
        Snapshot.load(old.folder), frozen(tmp_path, [row(n) for n in range(61)])
    )
    assert not found.holdouts_known
    assert found.rows["holdout"][0] == 18


def test_snapshots_are_found_by_folder_id_or_first_digits(tmp_path: Path):
    made = frozen(tmp_path, [row(n) for n in range(60)])
    for ref in (str(made.folder), made.id, made.id[:12], made.id[:5]):
        assert find_snapshot(ref, tmp_path) == made
    with pytest.raises(DataError, match=r"'xyz' must be a snapshot: .* there are: ") as caught:
        find_snapshot("xyz", tmp_path)
    assert caught.value.fix == "upturn ls"
    with pytest.raises(DataError, match="there are: none") as caught:
        find_snapshot("", tmp_path / "nowhere")
    assert caught.value.fix == "upturn snapshot CONFIG"


def test_several_that_begin_alike_are_named(tmp_path: Path):
    for n in range(60, 64):
        frozen(tmp_path, [row(i) for i in range(n)])
    names = sorted(p.name for p in tmp_path.iterdir())
    for name in names[1:]:
        (tmp_path / name).rename(tmp_path / (names[0][:2] + name[2:]))
    with pytest.raises(DataError, match="must name one snapshot, 4 match"):
        find_snapshot(names[0][:2], tmp_path)
