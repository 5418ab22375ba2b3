"""No adapter is judged on rows that it was trained on.

An adapter's card names the snapshot that it was trained on. Rows, groups and texts of that
snapshot's train and dev (the job stopped by dev), and the rows that lie in the job's folder
(preferences come from events beside the snapshot), are compared, by their hashes, with those of the
holdout that will decide: the holdout stays sealed. One in both is an error, not a warning, since a
verdict on it would be worth nothing. Where the training rows cannot be known, as for an adapter
that was brought from elsewhere, the turn says so in its progress and in its report.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from upturn.datasets import Snapshot
from upturn.datasets.history import group_hash, hashes_in, row_hash
from upturn.datasets.split import Split
from upturn.errors import ConfigError
from upturn.finetune.folder import JobFolder
from upturn.finetune.records import ROWS
from upturn.pipeline.workspace import Workspace
from upturn.records import Json
from upturn.weights.adapter import Adapter

_KINDS = ("rows", "groups", "texts")


def check_leak(adapter: Adapter, snapshot: Snapshot, workspace: Workspace) -> str:
    """Returns a warning where nobody knows what the adapter was trained on, else "".

    Raises:
        ConfigError: rows that it was trained on are in the snapshot's holdout.
    """
    trained_on = str(adapter.card.get("snapshot") or "")
    if trained_on == snapshot.id:
        return ""  # the job itself compared its rows with this very holdout
    manifest = _manifest(trained_on, workspace)
    seen = {k: _of_snapshot(manifest, k) | _of_job(adapter, workspace, k) for k in _KINDS}
    held = {k: hashes_in(snapshot.manifest, Split.HOLDOUT, k) for k in _KINDS}
    shared = {k: len(seen[k] & held[k]) for k in _KINDS if seen[k] & held[k]}
    if shared:
        counted = ", ".join(f"{n} {kind}" for kind, n in shared.items())
        raise ConfigError(
            f"adapter {adapter.id} was trained on snapshot {trained_on[:12]}, which shares "
            f"{counted} with this turn's holdout: it may know the answers",
            where="search.space.weights",
            fix="train it on this snapshot (upturn train JOB), or leave it out",
        )
    if _of_snapshot(manifest, "rows") and held["rows"]:
        return ""
    return (
        f"Nobody can say whether adapter {adapter.id} was trained on rows of this holdout: "
        f"{'snapshot ' + trained_on[:12] if trained_on else 'its card names no snapshot, which'} "
        "is not in this workspace. If it was, the gain is not real."
    )


def _manifest(snapshot_id: str, workspace: Workspace) -> Mapping[str, Json]:
    # A card may come from anywhere: what it says is compared, and never taken for a path.
    if re.fullmatch(r"[0-9a-f]{64}", snapshot_id) is None:
        return {}
    path = workspace.snapshots / snapshot_id[:12] / "manifest.json"
    if not path.is_file():
        return {}
    found: Json = json.loads(path.read_text(encoding="utf-8"))
    return found if found.get("id") == snapshot_id else {}


def _of_snapshot(manifest: Mapping[str, Json], kind: str) -> frozenset[str]:
    return hashes_in(manifest, Split.TRAIN, kind) | hashes_in(manifest, Split.DEV, kind)


def _of_job(adapter: Adapter, workspace: Workspace, kind: str) -> frozenset[str]:
    """Hashes of the rows in the folder of the job that made an adapter; none where it is gone."""
    name = str(adapter.card.get("job") or "")
    if Path(name).name != name:
        return frozenset()
    folder = JobFolder(workspace.jobs / name)
    hashed = {"rows": ("id", row_hash), "groups": ("group", group_hash)}.get(kind)
    if not name or hashed is None or not (folder.path / ROWS).is_file():
        return frozenset()
    result: Json = folder.read_result() or {}
    if Path(str(result.get("adapter", ""))).name != adapter.id:
        return frozenset()  # the folder is another job's by now
    key, digest = hashed
    with (folder.path / ROWS).open(encoding="utf-8") as file:
        values = {str(json.loads(line).get(key) or "") for line in file if line.strip()}
    return frozenset(digest(v) for v in values if v)
