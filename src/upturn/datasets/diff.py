"""What changed from one snapshot to another, without opening either holdout.

Rows of a holdout are known by the hashes in its manifest only: they are counted as added, removed
or moved, and whether one has another label stays sealed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from upturn.datasets.history import hashes_in, row_hash
from upturn.datasets.snapshot import Snapshot
from upturn.datasets.split import Split
from upturn.errors import DataError
from upturn.records import Example, Json, canonical_json

_ABSENT = "-"


@dataclass(frozen=True, kw_only=True)
class Relabelled:
    """A row of train or dev whose label of a field changed; ``split`` is where it is now."""

    id: str
    split: str
    field: str
    before: Json
    after: Json


@dataclass(frozen=True, kw_only=True)
class SnapshotDiff:
    """What changed.

    Attributes:
        old, new: ids of the snapshots.
        rows: split -> (rows before, rows after).
        added, removed: split -> rows that only the new, or only the old snapshot has.
        moved: (split before, split after) -> rows that are in both and went elsewhere.
        relabelled: rows of train and dev whose labels changed, by id and field.
        labels: (split, field, label) -> (rows before, rows after), of train and dev, where these
            differ.
        rules: name -> (setting before, setting after), where these differ.
        holdouts_known: False where a manifest from before there were hashes hides a holdout's
            rows; then they are counted in ``rows`` alone.
    """

    old: str
    new: str
    rows: Mapping[str, tuple[int, int]]
    added: Mapping[str, int]
    removed: Mapping[str, int]
    moved: Mapping[tuple[str, str], int]
    relabelled: tuple[Relabelled, ...]
    labels: Mapping[tuple[str, str, str], tuple[int, int]]
    rules: Mapping[str, tuple[Json, Json]]
    holdouts_known: bool

    @property
    def same(self) -> bool:
        """Whether both hold the same rows under the same rules."""
        return self.old == self.new

    def to_json(self) -> dict[str, Json]:
        """Returns all of it; keys of two parts become objects within objects."""
        labels: dict[str, Json] = {}
        for (split, field, label), (before, after) in self.labels.items():
            mix = labels.setdefault(split, {}).setdefault(field, {})
            mix[label] = {"before": before, "after": after}
        return {
            "old": self.old,
            "new": self.new,
            "same": self.same,
            "rows": {s: {"before": b, "after": a} for s, (b, a) in self.rows.items()},
            "added": dict(self.added),
            "removed": dict(self.removed),
            "moved": [{"from": a, "to": b, "rows": n} for (a, b), n in self.moved.items()],
            "relabelled": [vars(r) for r in self.relabelled],
            "labels": labels,
            "rules": {k: {"before": b, "after": a} for k, (b, a) in self.rules.items()},
            "holdouts_known": self.holdouts_known,
        }


def find_snapshot(ref: str, home: Path) -> Snapshot:
    """Returns the snapshot in a folder, or the one of an id, or of the first digits of one.

    Args:
        ref: a folder with a manifest, or an id, or how it begins.
        home: where snapshots of ids are looked for.

    Raises:
        DataError: none or several match.
        CorruptionError: it is damaged.
    """
    if (Path(ref) / "manifest.json").is_file():
        return Snapshot.load(ref)
    known = sorted(p.parent.name for p in home.glob("*/manifest.json"))
    # A folder is named by the first 12 digits; whoever has the whole id may type that.
    matches = [name for name in known if ref and name.startswith(ref[:12])]
    if len(matches) == 1:
        return Snapshot.load(home / matches[0])
    rule = f"must name one snapshot, {len(matches)} match" if matches else "must be a snapshot"
    raise DataError(
        f"{ref!r} {rule}: a folder with a manifest.json, or the id of one in {home}; "
        f"there are: {', '.join(known) or 'none'}",
        fix="upturn ls" if known else "upturn snapshot CONFIG",
    )


def compare_snapshots(old: Snapshot, new: Snapshot) -> SnapshotDiff:
    """Compares two snapshots; neither holdout is opened."""
    before, after = _places(old), _places(new)
    added = Counter(str(split) for row, split in after.items() if row not in before)
    removed = Counter(str(split) for row, split in before.items() if row not in after)
    moved = Counter(
        (str(was), str(after[row]))
        for row, was in before.items()
        if row in after and after[row] is not was
    )
    return SnapshotDiff(
        old=old.id,
        new=new.id,
        rows={
            str(s): (old.manifest["sizes"][s]["rows"], new.manifest["sizes"][s]["rows"])
            for s in Split
        },
        added={str(s): added[str(s)] for s in Split},
        removed={str(s): removed[str(s)] for s in Split},
        moved=dict(sorted(moved.items())),
        relabelled=_relabelled(old, new),
        labels=_label_changes(old.manifest["labels"], new.manifest["labels"]),
        rules=_changed(_rules(old.manifest), _rules(new.manifest)),
        holdouts_known=all(hashes_in(s.manifest, Split.HOLDOUT, "rows") for s in (old, new)),
    )


def _places(snapshot: Snapshot) -> dict[str, Split]:
    """Returns where each row is, by the hash of its id."""
    places = dict.fromkeys(hashes_in(snapshot.manifest, Split.HOLDOUT, "rows"), Split.HOLDOUT)
    places |= {row_hash(row.id): Split.TRAIN for row in snapshot.train}
    return places | {row_hash(row.id): Split.DEV for row in snapshot.dev}


def _open_rows(snapshot: Snapshot) -> dict[str, tuple[str, Example]]:
    parts = (("train", snapshot.train), ("dev", snapshot.dev))
    return {row.id: (name, row) for name, part in parts for row in part}


def _relabelled(old: Snapshot, new: Snapshot) -> tuple[Relabelled, ...]:
    before = _open_rows(old)
    found: list[Relabelled] = []
    for row_id, (split, row) in sorted(_open_rows(new).items()):
        past = before[row_id][1].labels if row_id in before else row.labels
        for field in sorted({*past, *row.labels}):
            was, now = past.get(field, _ABSENT), row.labels.get(field, _ABSENT)
            if canonical_json(was) != canonical_json(now):
                found.append(Relabelled(id=row_id, split=split, field=field, before=was, after=now))
    return tuple(found)


def _label_changes(
    old: Mapping[str, Json], new: Mapping[str, Json]
) -> dict[tuple[str, str, str], tuple[int, int]]:
    def counts(mixes: Mapping[str, Json]) -> dict[tuple[str, str, str], int]:
        return {
            (split, field, label): n
            for split, fields in mixes.items()
            for field, mix in fields.items()
            for label, n in mix.items()
        }

    before, after = counts(old), counts(new)
    return {
        key: (before.get(key, 0), after.get(key, 0))
        for key in sorted({*before, *after})
        if before.get(key, 0) != after.get(key, 0)
    }


def _rules(manifest: Mapping[str, Json]) -> dict[str, Json]:
    """Returns the settings of a snapshot; which earlier ones it knew is no setting."""
    terms = manifest.get("history", {}).get("terms", {})
    settings = {f"split.{name}": value for name, value in manifest["rules"].items()}
    return settings | {name: value for name, value in terms.items() if name != "previous"}


def _changed(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, tuple[Json, Json]]:
    return {
        name: (before.get(name, _ABSENT), after.get(name, _ABSENT))
        for name in sorted({*before, *after})
        if before.get(name, _ABSENT) != after.get(name, _ABSENT)
    }
