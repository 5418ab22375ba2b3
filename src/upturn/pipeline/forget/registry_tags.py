"""The registry's tags after versions were changed: hashes follow the files, ``stale`` is set.

Works on MLflow's SQLite database directly, as the sweep does: the tags and the files of a version
must agree, and the client offers no transaction over several tags.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from upturn.errors import StorageError
from upturn.records import Json
from upturn.tracking.versions import MANIFEST, sha256

_HASH, _CANDIDATE, STALE = "manifest_sha256", "candidate", "stale"


@dataclass(frozen=True, kw_only=True)
class Version:
    """A registered version from which something forgotten was taken; ``mark`` says for whom."""

    program: str
    version: str
    champion: bool
    turn: str
    demos: int
    folder: Path
    mark: str

    @property
    def next_step(self) -> str:
        """What to do about it: nobody measured it as it is now."""
        return f"upturn run configs/{self.program}.yaml"

    def to_json(self) -> dict[str, Json]:
        """Returns what the answer says of it, with the command that searches a replacement."""
        return {
            "program": self.program,
            "version": self.version,
            "champion": self.champion,
            "turn": self.turn,
            "demos": self.demos,
            "next": self.next_step,
        }


def follow(database: Path, folders: Sequence[Path]) -> list[Version]:
    """Sets the tags of the versions whose manifest says that it was changed. May be repeated.

    Args:
        database: MLflow's SQLite file.
        folders: of versions, whose manifests are read.

    Returns:
        The registered versions among them that are stale.

    Raises:
        StorageError: the database is locked or damaged.
    """
    stale = {folder: _note(folder) for folder in folders}
    noted = {folder: note for folder, note in stale.items() if note is not None}
    if not noted or not database.is_file():
        return []
    try:
        with closing(sqlite3.connect(database, timeout=30.0)) as db, db:
            db.execute("pragma foreign_keys = on")
            return [v for folder, note in noted.items() for v in _follow(db, folder, note)]
    except sqlite3.Error as error:
        raise StorageError(
            f"the registry must be writable, got: {error}",
            where=str(database),
            fix="stop what uses it, then run the same command again",
        ) from error


def _note(folder: Path) -> dict[str, Json] | None:
    data = (folder / MANIFEST).read_bytes()
    manifest: dict[str, Json] = json.loads(data)
    mark = manifest.get("stale") or manifest.get("redacted")
    if mark is None:
        return None
    now = {"now": sha256(data), "candidate_now": manifest["candidate"], "turn": manifest["turn"]}
    return {**mark, **now, "stale": "stale" in manifest}


def _follow(db: sqlite3.Connection, folder: Path, note: dict[str, Json]) -> list[Version]:
    hashes = (note["manifest"], note["now"])
    found = db.execute(
        "select name, version from model_version_tags where key = ? and value in (?, ?)",
        (_HASH, *hashes),
    ).fetchall()
    tags = {_HASH: note["now"], _CANDIDATE: note["candidate_now"]}
    if note["stale"]:
        tags[STALE] = json.dumps({k: note[k] for k in ("forgotten", "demos", "candidate")})
    made: list[Version] = []
    for name, version in found:
        for key, value in tags.items():
            db.execute(
                "insert into model_version_tags (name, version, key, value) values (?, ?, ?, ?) "
                "on conflict do update set value = excluded.value",
                (name, version, key, value),
            )
        if not note["stale"]:
            continue
        champion = db.execute(
            "select 1 from registered_model_aliases "
            "where name = ? and version = ? and alias = 'champion'",
            (name, version),
        ).fetchone()
        made.append(
            Version(
                program=str(name),
                version=str(version),
                champion=champion is not None,
                turn=str(note["turn"]),
                demos=int(note["demos"]),
                folder=folder,
                mark=str(note["forgotten"]),
            )
        )
    db.execute(
        "update logged_model_tags set tag_value = ? where tag_key = ? and tag_value = ?",
        (note["now"], _HASH, note["manifest"]),
    )
    return made
