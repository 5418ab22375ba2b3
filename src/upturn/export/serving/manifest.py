"""The manifest of an export: what was asked, measured and checked, and the hash of every file."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from upturn.errors import CorruptionError, StorageError
from upturn.export.serving.base import Check, Source, Target
from upturn.records import Json
from upturn.tracking.versions import MANIFEST

FORMAT = 1
_PACKAGES = ("torch", "transformers", "peft", "safetensors", "gguf")
_BLOCK = 1 << 22
_UNNAMED_BASE = (
    "that the adapter was trained on this very base: it does not name the base's hash, only names "
    "and shapes of the layers agree"
)


def manifest_of(
    source: Source,
    target: Target,
    asked: Mapping[str, Json],
    notes: Mapping[str, Json],
    checks: Sequence[Check],
    measured: Mapping[str, Json],
    files: Mapping[str, Json],
) -> dict[str, Json]:
    """Returns the manifest's content.

    Args:
        source: what was exported.
        target: for which server.
        asked: names and options; the same again is the same export.
        notes: what the target said of what it wrote.
        checks: all of them passed; the last one is of the logits.
        measured: numbers that have no tolerance.
        files: name -> sha256 and bytes.
    """
    return {
        "format": FORMAT,
        "asked": dict(asked),
        "adapter": {"id": source.adapter_id, "rank": source.lora.rank},
        "base": {"id": source.base_id, "named_by_adapter": source.base_known},
        "notes": dict(notes),
        "tolerance": checks[-1].tolerance,
        "measured": dict(measured),
        "verified": [c.to_json() for c in checks],
        "not_checked_here": not_checked(source, target),
        "packages": _versions(),
        "files": dict(files),
    }


def not_checked(source: Source, target: Target) -> list[str]:
    """Returns what could not be checked here, one sentence each."""
    return [*target.unchecked, *([] if source.base_known else [_UNNAMED_BASE])]


def verify_files(folder: Path) -> dict[str, Json]:
    """Checks an export's files against its manifest, and returns the manifest.

    Raises:
        CorruptionError: a file is missing, changed, or was added.
        StorageError: there is no manifest.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        expected = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"an export must have a {MANIFEST} with the hashes of its files: {error}"
        raise StorageError(what, where=str(folder), fix="export it again") from error
    found = {name: entry["sha256"] for name, entry in hashes(folder).items() if name != MANIFEST}
    for name in sorted(set(expected) | set(found)):
        if expected.get(name) != found.get(name):
            what = f"{name} must have sha256 {str(expected.get(name, 'no such file'))[:12]}, found "
            what += str(found.get(name, "no file"))[:12]
            raise CorruptionError(what, where=str(folder), fix="remove it and export it again")
    return manifest


def hashes(folder: Path) -> dict[str, dict[str, Json]]:
    """Returns name -> sha256 and bytes of every file below a folder, sorted."""
    found: dict[str, dict[str, Json]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        name = path.relative_to(folder).as_posix()
        found[name] = {"sha256": digest.hexdigest(), "bytes": path.stat().st_size}
    return found


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
