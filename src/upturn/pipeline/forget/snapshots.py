"""Snapshots without the rows that were forgotten: a new id, and every other row where it was.

The rows are not split again: that could move a group from one split to another. A group that was
named after a forgotten user gets a name that says nothing. The old folder goes; beside it stays
``<id>.stale.json``, which says what became of it and holds no content.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from upturn.datasets import Snapshot, Split
from upturn.datasets.history import without
from upturn.datasets.seal import decode_rows, encode_rows, read_verified, seal_of
from upturn.datasets.snapshot import FILES
from upturn.ledger import Ledger
from upturn.pipeline.forget.needles import Needles
from upturn.pipeline.forget.places import replace_bytes
from upturn.pipeline.workspace import write_json
from upturn.records import Example, Json, canonical_json, content_hash

STALE = ".stale.json"


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """A snapshot that held something forgotten.

    Attributes:
        id: its id; rebuilt_as: the id of the snapshot in its place.
        rows: split -> rows that went.
        holdout, new_holdout: hashes of the sealed rows before and after.
    """

    id: str
    rebuilt_as: str
    rows: Mapping[str, int]
    holdout: str
    new_holdout: str

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def read_rows(folder: Path) -> dict[str, tuple[Example, ...]]:
    """Returns all rows of a snapshot by split, the sealed ones too: to remove, not to look.

    Raises:
        CorruptionError: a file does not match its hash.
    """
    snapshot = Snapshot.load(folder)
    hashes = snapshot.manifest["sha256"]
    return {
        split: decode_rows(read_verified(folder / file, hashes[split], fix=f"rm -r {folder}"))
        for split, file in FILES.items()
    }


def folders(snapshots: Path) -> list[Path]:
    """Returns the folders of all snapshots of a workspace."""
    return sorted(p.parent for p in snapshots.glob("*/manifest.json"))


def rebuild(
    folder: Path,
    gone: Callable[[Example], bool],
    *,
    names: Collection[str],
    needles: Needles,
    subject: str,
    notes: Mapping[str, Collection[str]] | None = None,
) -> Rebuilt | None:
    """Writes a snapshot anew without some rows, and removes the old one.

    Args:
        folder: the snapshot's.
        gone: tells which rows go.
        names: users whose name no group may keep.
        needles: rows that quote something forgotten go, too.
        subject: hash of what is forgotten, for the mark that stays.
        notes: row -> notes that go though the row stays; notes that hold a needle go, too.

    Returns:
        What was done, None where nothing of it was in the snapshot.

    Raises:
        CorruptionError: the snapshot was damaged before.
        StorageError: the folder cannot be written.
    """
    manifest = dict(Snapshot.load(folder).manifest)
    rows = read_rows(folder)
    kept = {
        split: [
            _muted(e, (notes or {}).get(e.id, ()), needles)
            for e in some
            if not gone(e) and not _holds(e, needles)
        ]
        for split, some in rows.items()
    }
    went = {split: len(rows[split]) - len(kept[split]) for split in rows}
    history = _history(manifest, rows, kept, names)
    kept = _renamed(kept, names)
    if not any(went.values()) and all(list(rows[s]) == kept[s] for s in rows):
        return None
    made = _manifest({**manifest, "history": history}, kept, went)
    target = folder.parent / str(made["id"])[:12]
    _write(target, kept, made, needles)
    Snapshot.load(target)
    rebuilt = Rebuilt(
        id=manifest["id"],
        rebuilt_as=made["id"],
        rows=went,
        holdout=manifest["sha256"]["holdout"],
        new_holdout=made["sha256"]["holdout"],
    )
    # The mark first: a kill in between leaves both and the mark, and the next run goes on.
    write_json(folder.parent / f"{folder.name}{STALE}", {**rebuilt.to_json(), "forgotten": subject})
    if target != folder:
        _remove(folder)
    return rebuilt


def finish(snapshots: Path) -> None:
    """Removes what a kill left of folders whose snapshots were rebuilt.

    Raises:
        OSError: a folder cannot be removed.
    """
    for mark in snapshots.glob(f"*{STALE}"):
        folder = mark.with_name(mark.name.removesuffix(STALE))
        if folder.is_dir() and not (folder / "manifest.json").exists():
            _remove(folder)


def _remove(folder: Path) -> None:
    """The manifest goes first: without one, whatever a kill leaves is no snapshot."""
    (folder / "manifest.json").unlink(missing_ok=True)
    shutil.rmtree(folder)


def carry_looks(ledger: Ledger, rebuilt: Rebuilt) -> None:
    """Counts the looks at the old holdout as looks at the new one: its rows were seen."""
    if rebuilt.new_holdout == rebuilt.holdout:
        return
    programs = {
        e.data["turn"]: e.program for e in ledger.entries() if e.data.get("holdout") is not None
    }
    for look in ledger.looks(rebuilt.holdout):
        ledger.open_look(
            rebuilt.new_holdout,
            turn=look.turn,
            program=programs.get(look.turn, ""),
            alpha=lambda number, spent, look=look: look.alpha,
        )


def _holds(example: Example, needles: Needles) -> bool:
    content = (example.inputs, example.labels, example.id, example.event_ids)
    return needles.in_text(canonical_json(content))


def _muted(example: Example, gone: Collection[str], needles: Needles) -> Example:
    kept = (n for n in example.notes if n not in gone and not needles.in_text(canonical_json([n])))
    return replace(example, notes=tuple(kept)) if example.notes else example


def _renamed(
    kept: Mapping[str, Sequence[Example]], names: Collection[str]
) -> dict[str, list[Example]]:
    """Names groups after what is left of them, where a forgotten user gave the name."""
    members: dict[str, list[str]] = {}
    for rows in kept.values():
        for e in rows:
            if e.group in names:
                members.setdefault(e.group, []).append(e.id)
    fresh = {g: f"group-{content_hash(sorted(ids), length=12)}" for g, ids in members.items()}
    return {
        split: [replace(e, group=fresh[e.group]) if e.group in fresh else e for e in rows]
        for split, rows in kept.items()
    }


def _history(
    manifest: Mapping[str, Json],
    rows: Mapping[str, Sequence[Example]],
    kept: Mapping[str, Sequence[Example]],
    names: Collection[str],
) -> dict[str, Json]:
    """Returns who was where, less what only the rows that went say."""
    stay = {split: {e.id for e in some} for split, some in kept.items()}
    gone = {split: [e for e in some if e.id not in stay[split]] for split, some in rows.items()}
    hashes = {
        split: without(manifest, Split(split), gone=gone[split], kept=kept[split], names=names)
        for split in rows
    }
    return {**manifest.get("history", {}), "hashes": hashes}


def _manifest(
    old: Mapping[str, Json], kept: Mapping[str, Sequence[Example]], went: Mapping[str, int]
) -> dict[str, Json]:
    hashes = {split: hashlib.sha256(encode_rows(rows)).hexdigest() for split, rows in kept.items()}
    rules = old["rules"]
    return {
        **old,
        "id": content_hash({"format": old["format"], "rules": dict(rules), "sha256": hashes}),
        "sha256": hashes,
        "sizes": {
            s: {"rows": len(r), "groups": len({e.group for e in r})} for s, r in kept.items()
        },
        "labels": {
            split: {name: _mix(kept[split], name) for name in fields}
            for split, fields in old["labels"].items()
        },
        "holdout": seal_of(kept["holdout"]).to_json(),
        "dropped": {**old["dropped"], "forgotten": _before(old) + sum(went.values())},
        "derived_from": old["id"],
    }


def _before(manifest: Mapping[str, Json]) -> int:
    return int(manifest["dropped"].get("forgotten", 0))


def _mix(rows: Sequence[Example], name: str) -> dict[str, int]:
    """Counts labels as ``datasets.snapshot`` does: up to 50, and none of a free text."""
    values = (e.labels[name] for e in rows if name in e.labels)
    texts = Counter(v if isinstance(v, str) else canonical_json(v) for v in values)
    return dict(texts.most_common(50)) if len(texts) <= 200 else {"(distinct values)": len(texts)}


def _write(
    target: Path, kept: Mapping[str, Sequence[Example]], manifest: dict[str, Json], needles: Needles
) -> None:
    """Writes the rows, then the manifest: without one, a folder is no snapshot."""
    clean: dict[str, Json] = json.loads(needles.redact(canonical_json(manifest))[0])
    clean["manifest_sha256"] = content_hash(clean)
    target.mkdir(parents=True, exist_ok=True)
    text = json.dumps(clean, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    files = {FILES[split]: encode_rows(rows) for split, rows in kept.items()}
    for name, data in {**files, "manifest.json": text.encode()}.items():
        (target / name).touch()
        replace_bytes(target / name, data)
