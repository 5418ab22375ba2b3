"""Registered versions, exported bundles and logged candidates without forgotten demos.

A version is changed where it lies: the demo goes from ``candidate.json``, ``program.json`` and
``prompt.json``, hashes and the registry's tags follow, and a champion keeps serving without it. It
is marked ``stale``: nobody measured it without that demo, so the answer names the command that
searches for a replacement.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeGuard

from upturn.pipeline.forget.needles import Needles
from upturn.pipeline.forget.places import replace_bytes
from upturn.records import Candidate, Json, canonical_json
from upturn.tracking.versions import MANIFEST, ORIGINS, dump, sha256

_DRAFT = ".forget"
#: Keys of a manifest: the prompt was changed; only the ids of its origins were.
STALE, REDACTED = "stale", "redacted"
#: Fields of a demo that say how it was made, and are no part of its content.
_SIGNS = frozenset({"augmented"})


@dataclass(frozen=True, kw_only=True)
class Demos:
    """Which demos go.

    Attributes:
        needles: a demo that holds one of them goes.
        inputs: a demo with all of these inputs, and the same values, goes.
    """

    needles: Needles
    inputs: Sequence[Mapping[str, Json]]

    def gone(self, demo: Json) -> bool:
        """Tells whether a demo goes."""
        if not is_object(demo):
            return False
        if self.needles.in_text(canonical_json(demo)):
            return True
        fields = {k: v for k, v in demo.items() if k not in _SIGNS}
        return any(i and all(fields.get(k) == v for k, v in i.items()) for i in self.inputs)

    def prune(self, value: Json) -> tuple[Json, int]:
        """Returns a value without these demos, and how many went: from every list ``demos``, and
        from chat messages, where one is a user's turn and the answer to it."""
        if isinstance(value, list):
            return self._pruned_list(value)
        if not is_object(value):
            return value, 0
        made: dict[str, Json] = {}
        count = 0
        for key, item in value.items():
            if key == "demos" and isinstance(item, list):
                kept = [d for d in item if not self.gone(d)]
                count += len(item) - len(kept)
                made[key] = kept
            else:
                made[key], n = self.prune(item)
                count += n
        return made, count

    def _pruned_list(self, value: list[Json]) -> tuple[Json, int]:
        kept: list[Json] = []
        count = 0
        answer_goes = False
        for item in value:
            role = item.get("role") if is_object(item) else None
            if role == "assistant" and answer_goes:
                answer_goes = False
                continue
            answer_goes = role == "user" and self.needles.in_text(canonical_json(item))
            if answer_goes:
                count += 1
                continue
            clean, n = self.prune(item)
            kept.append(clean)
            count += n
        return kept, count


def is_object(value: Json) -> TypeGuard[dict[str, Json]]:
    """Tells whether a JSON value is an object."""
    return isinstance(value, dict)


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A folder with a manifest of hashes that was changed.

    Attributes:
        folder: where it lies.
        candidate, was_candidate: id of the program state now and before.
        manifest, was_manifest: sha256 of the manifest now and before.
        demos: how many went.
    """

    folder: Path
    candidate: str
    was_candidate: str
    manifest: str
    was_manifest: str
    demos: int

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "folder": str(self.folder)}


def versions_in(root: Path) -> list[Path]:
    """Returns the folders of versions and bundles under a place."""
    found: list[Path] = []
    for path in sorted(root.rglob(MANIFEST)) if root.is_dir() else []:
        if (path.parent / "candidate.json").is_file():
            finish(path.parent)
            found.append(path.parent)
    return found


def manifest_of(folder: Path) -> dict[str, Json]:
    """Returns the manifest of a version or bundle."""
    return json.loads((folder / MANIFEST).read_bytes())


def change(folder: Path, demos: Demos, subject: str) -> Changed | None:
    """Takes forgotten demos and texts out of a version; None where it holds none.

    All new files are on disk before the first old one goes, the manifest's last: ``finish`` ends
    what a kill left.
    """
    old = (folder / MANIFEST).read_bytes()
    manifest: dict[str, Json] = json.loads(old)
    content: dict[str, bytes] = {}
    removed = 0
    for name in sorted(manifest["files"]):
        data = (folder / name).read_bytes()
        clean, count = _cleaned(name, data, demos)
        removed = max(removed, count)
        if clean != data:
            content[name] = clean
    if not content:
        return None
    was = str(manifest["candidate"])
    if "candidate.json" in content:
        manifest["candidate"] = Candidate.from_json(json.loads(content["candidate.json"])).id
    manifest["files"] = {**manifest["files"], **{n: sha256(d) for n, d in content.items()}}
    mark: dict[str, Json] = {"candidate": was, "manifest": sha256(old)}
    said: dict[str, Json] = {"forgotten": subject, "demos": removed}
    if set(content) != {ORIGINS}:
        manifest.pop(REDACTED, None)
        manifest[STALE] = {**said, **mark}
    elif STALE in manifest:
        manifest[STALE] = {**manifest[STALE], **mark}
    else:
        # What was measured is as it was; only what is known of its origins is less.
        manifest[REDACTED] = {**said, **mark}
    new = dump(manifest)
    for name, data in {**content, MANIFEST: new}.items():
        draft = folder / f"{name}{_DRAFT}"
        draft.touch()
        replace_bytes(draft, data)
    finish(folder)
    return Changed(
        folder=folder,
        candidate=manifest["candidate"],
        was_candidate=was,
        manifest=sha256(new),
        was_manifest=sha256(old),
        demos=removed,
    )


def finish(folder: Path) -> None:
    """Puts drafts in place that a killed process left; drops them where they are not complete."""
    drafts = sorted(folder.glob(f"*{_DRAFT}"))
    complete = (folder / f"{MANIFEST}{_DRAFT}").exists()
    # The manifest's own draft goes last: while it is there, the set is known to be complete.
    for draft in sorted(drafts, key=lambda p: p.name.startswith(MANIFEST)):
        if complete:
            draft.replace(folder / draft.name.removesuffix(_DRAFT))
        else:
            draft.unlink()


def clean_candidate(path: Path, demos: Demos) -> int:
    """Takes forgotten demos out of a logged ``candidate.json``; returns how many."""
    data = path.read_bytes()
    clean, count = _cleaned(path.name, data, demos)
    if clean != data:
        replace_bytes(path, clean)
    return count


def _cleaned(name: str, data: bytes, demos: Demos) -> tuple[bytes, int]:
    try:
        text = data.decode()
        value: Json = json.loads(text) if name.endswith(".json") else None
    except ValueError:
        return data, 0
    count = 0
    if name.endswith(".json"):
        pruned, count = demos.prune(value)
        # As it was written: only what changed may differ.
        text = dump(pruned).decode() if count else text
    clean, places = demos.needles.redact(text)
    return (clean.encode(), count) if count or places else (data, 0)
