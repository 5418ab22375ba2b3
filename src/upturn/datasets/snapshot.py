"""Snapshots: train, dev and a sealed holdout, frozen under the hash of their content.

    FOLDER/<first 12 hex digits of the id>/{train,dev,holdout}.jsonl, manifest.json

The id is the sha256 of the split rules and of each split's rows, which are sorted by id; so the
same rows under the same rules are the same snapshot, whatever order they came in. What only
describes them (provenance, counts) is in the manifest, under a hash of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from upturn.datasets.history import hashes_of
from upturn.datasets.seal import HoldoutSeal, decode_rows, encode_rows, read_verified, seal_of
from upturn.datasets.split import SplitRules, Splits
from upturn.datasets.terms import Terms, split_on
from upturn.errors import CorruptionError, DataError, StorageError
from upturn.records import Example, Json, canonical_json, content_hash

FORMAT = 1  # of the snapshot folder
FILES = {"train": "train.jsonl", "dev": "dev.jsonl", "holdout": "holdout.jsonl"}


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A frozen snapshot as everybody but the gate sees it.

    Attributes:
        id: sha256 of rules and rows; ``folder`` is named by its first 12 digits.
        folder: where it is stored.
        train, dev: the rows, sorted by id.
        holdout: the seal of the rows that only the gate may read.
        manifest: sizes, label mix of train and dev, reasons of abstention, provenance, and the
            hashes that tell a later snapshot who was where.
    """

    id: str
    folder: Path
    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    holdout: HoldoutSeal
    manifest: Mapping[str, Json]

    @classmethod
    def load(cls, folder: str | Path) -> Snapshot:
        """Reads a snapshot and verifies every file against its hash.

        Raises:
            CorruptionError: a file is missing or changed; names file, expected and found hash.
            DataError: the folder is no snapshot, or one of another format.
            StorageError: a file cannot be read.
        """
        return _load(Path(folder))


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a snapshot would hold, before anything is written: fields as of :class:`Snapshot`."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    holdout: HoldoutSeal


def preview(
    examples: Sequence[Example], *, rules: SplitRules, terms: Terms | None = None
) -> Preview:
    """Splits rows as ``freeze`` would, and seals the holdout without writing it.

    Raises:
        DataError: ids repeat, or the rows cannot be split.
    """
    _check_ids(examples)
    splits, _ = split_on(examples, rules=rules, terms=terms or Terms())
    return Preview(train=splits.train, dev=splits.dev, holdout=seal_of(splits.holdout))


def freeze(
    examples: Sequence[Example],
    *,
    rules: SplitRules,
    folder: str | Path,
    provenance: Mapping[str, Json],
    abstained: Mapping[str, int] | None = None,
    dropped: Mapping[str, int] | None = None,
    grouping: Mapping[str, Json] | None = None,
    terms: Terms | None = None,
) -> Snapshot:
    """Splits rows and writes them, all or nothing; the same content again changes nothing.

    Args:
        examples: grouped rows with unique ids, in any order.
        rules: how to split them.
        folder: where snapshots live; made if it is missing.
        provenance: where the rows came from, e.g. the log's files and hashes; JSON.
        abstained: reason -> requests that got no label.
        dropped: reason -> rows left out otherwise.
        grouping: the report on groups.
        terms: what the split must respect: earlier snapshots, consent, balance.

    Raises:
        DataError: ids repeat, or the rows cannot be split.
        CorruptionError: the same snapshot exists and is damaged.
        StorageError: the folder cannot be written; nothing is left behind.
    """
    _check_ids(examples)
    terms = terms or Terms()
    splits, left_out = split_on(examples, rules=rules, terms=terms)
    data = {name: encode_rows(getattr(splits, name)) for name in FILES}
    hashes = {name: hashlib.sha256(d).hexdigest() for name, d in data.items()}
    manifest: dict[str, Json] = {
        "format": FORMAT,
        "id": _snapshot_id(hashes, rules.to_json()),
        "rules": rules.to_json(),
        "sha256": hashes,
        "sizes": {name: _size(getattr(splits, name)) for name in FILES},
        "labels": _label_mix(splits),
        "holdout": seal_of(splits.holdout, sha256=hashes["holdout"]).to_json(),
        "abstained": dict(abstained or {}),
        "dropped": dict(Counter(dropped or {}) + Counter(left_out)),
        "grouping": dict(grouping or {}),
        "history": {"terms": terms.to_json(), "hashes": hashes_of(splits, terms.joined)},
        "provenance": dict(provenance),
    }
    manifest["manifest_sha256"] = content_hash(manifest)
    target = Path(folder) / manifest["id"][:12]
    if not target.exists():
        text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        _write(target, {**{FILES[n]: d for n, d in data.items()}, "manifest.json": text.encode()})
    snapshot = Snapshot.load(target)
    if snapshot.id != manifest["id"]:
        raise CorruptionError(
            f"the folder must hold snapshot {manifest['id']}, found {snapshot.id}",
            where=str(target),
            fix=f"rm -r {target}, then type the same again",
        )
    return snapshot


def _check_ids(examples: Sequence[Example]) -> None:
    repeated = [i for i, n in Counter(e.id for e in examples).items() if n > 1]
    if repeated:
        raise DataError(
            f"rows of a snapshot must have unique ids, {len(repeated)} repeat: {repeated[:3]}"
        )


def _snapshot_id(hashes: Mapping[str, str], rules: Mapping[str, Json]) -> str:
    return content_hash({"format": FORMAT, "rules": dict(rules), "sha256": dict(hashes)})


def _size(rows: Sequence[Example]) -> dict[str, int]:
    return {"rows": len(rows), "groups": len({e.group for e in rows})}


def _label_mix(splits: Splits) -> dict[str, Json]:
    """Counts labels of train and dev; the holdout's mix would be news about the holdout."""
    return {
        name: {field: _counts(rows, field) for field in sorted(rows[0].labels)}
        for name, rows in (("train", splits.train), ("dev", splits.dev))
    }


def _counts(rows: Sequence[Example], field: str) -> dict[str, int]:
    """Counts up to 50 labels of a field: a free text would repeat the rows."""
    values = (e.labels[field] for e in rows)
    texts = Counter(v if isinstance(v, str) else canonical_json(v) for v in values)
    return dict(texts.most_common(50)) if len(texts) <= 200 else {"(distinct values)": len(texts)}


def _write(target: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder under another name and renames it, to be there whole or not at all."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        for name, data in files.items():
            with (staging / name).open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        staging.chmod(0o755)
        staging.rename(target)
    except OSError as error:
        # Somebody else may have frozen the same content in between: then theirs is ours.
        if not target.exists():
            raise _unwritable(target, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _unwritable(target: Path, error: OSError) -> StorageError:
    return StorageError(
        f"the snapshot must be writable, got: {error}",
        where=str(target),
        fix=f"df -h {target.parent}; ls -ld {target.parent}",
    )


def _load(folder: Path) -> Snapshot:
    manifest = _manifest(folder)
    fix = f"rm -r {folder}, then freeze it again: upturn snapshot CONFIG"
    data = {
        name: read_verified(folder / file, manifest["sha256"][name], fix=fix)
        for name, file in FILES.items()
    }
    return Snapshot(
        id=manifest["id"],
        folder=folder,
        train=decode_rows(data["train"]),
        dev=decode_rows(data["dev"]),
        holdout=HoldoutSeal.from_json(manifest["holdout"]),
        manifest=manifest,
    )


def _manifest(folder: Path) -> dict[str, Json]:
    """Returns the manifest, verified against its own hash and the id."""
    path = folder / "manifest.json"
    fix = f"rm -r {folder}, then freeze it again: upturn snapshot CONFIG"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        stated = manifest.pop("manifest_sha256")
    except FileNotFoundError:
        raise DataError("a snapshot must hold a manifest, found none", where=str(path)) from None
    except OSError as error:
        raise StorageError(f"the manifest must be readable: {error}", where=str(path)) from error
    except (ValueError, KeyError, AttributeError) as error:
        raise CorruptionError(
            f"the manifest must be whole JSON, found: {error!r}", where=str(path), fix=fix
        ) from error
    actual = content_hash(manifest)
    if actual != stated:
        raise CorruptionError(
            f"the manifest must have sha256 {stated}, found {actual}", where=str(path), fix=fix
        )
    if manifest.get("format") != FORMAT:
        raise DataError(
            f"a snapshot must be of format {FORMAT}, got {manifest.get('format')}", where=str(path)
        )
    snapshot_id = _snapshot_id(manifest["sha256"], manifest["rules"])
    if (
        snapshot_id != manifest["id"]
        or manifest["holdout"]["sha256"] != manifest["sha256"]["holdout"]
    ):
        raise CorruptionError(
            f"the manifest must name its content {manifest['id']}, found {snapshot_id}",
            where=str(path),
            fix=fix,
        )
    return manifest
