"""Checkpoints: complete, or not there. A folder appears under its name when all of it is on disk.

CHECKPOINTS/step-000040/manifest.json    file -> sha256, of all the others
CHECKPOINTS/step-000040/state.json       step, evaluations so far, schedule, random generators
CHECKPOINTS/step-000040/*.safetensors    adapter and optimizer; nothing is pickled
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from upturn.errors import UpturnError
from upturn.records import Json, canonical_json

MANIFEST, STATE = "manifest.json", "state.json"
_PREFIX, _UNFINISHED = "step-", ".unfinished-"


class UnwrittenError(UpturnError):
    """A checkpoint or the final adapter could not be written; the one before stands."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One that is complete: every file was there with the hash that the manifest names."""

    folder: Path
    step: int
    state: Mapping[str, Json]


class Checkpoints:
    """The checkpoints of one job.

    Args:
        folder: holds them; made where it does not exist.
        writing: told each file before it is written.
    """

    def __init__(
        self, folder: Path, *, writing: Callable[[Path, bytes], None] = lambda path, data: None
    ) -> None:
        self.folder = folder
        self._writing = writing

    def newest(self, tell: Callable[[str], None]) -> Checkpoint | None:
        """Returns the newest complete checkpoint; each newer one that is not is told, and why."""
        for folder in reversed(self._folders()):
            try:
                return read(folder)
            except (OSError, ValueError, KeyError, TypeError) as error:
                tell(f"{folder} is left out: {error}; an older checkpoint is used, or the start")
        return None

    def save(self, step: int, files: Mapping[str, bytes]) -> Path:
        """Writes a checkpoint; ``files`` holds ``state.json``. Replaces one of the same step.

        Raises:
            UnwrittenError: the disk is full or does not take it; nothing of it is left.
        """
        return write_folder(
            self.folder / f"{_PREFIX}{step:06d}", with_manifest(files), self._writing
        )

    def prune(self, keep: Iterable[int]) -> None:
        """Removes the checkpoints of all other steps, and what a killed process left half done."""
        kept = {f"{_PREFIX}{step:06d}" for step in keep}
        for folder in self.folder.iterdir() if self.folder.is_dir() else ():
            if folder.name.startswith(_UNFINISHED) or (
                folder.name.startswith(_PREFIX) and folder.name not in kept
            ):
                shutil.rmtree(folder, ignore_errors=True)

    def at(self, step: int) -> Path:
        """Returns the folder of a step's checkpoint."""
        return self.folder / f"{_PREFIX}{step:06d}"

    def _folders(self) -> list[Path]:
        found = self.folder.glob(f"{_PREFIX}[0-9]*") if self.folder.is_dir() else ()
        return sorted(p for p in found if p.is_dir())


def read(folder: Path) -> Checkpoint:
    """Reads a checkpoint's state after checking every file against the manifest.

    Raises:
        OSError, ValueError, KeyError, TypeError: a file is missing, changed or no JSON.
    """
    if not (folder / MANIFEST).is_file():
        raise ValueError(f"{MANIFEST} is missing, so it was never finished")
    manifest = json.loads((folder / MANIFEST).read_text())
    for name, expected in manifest.items():
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{name} is missing")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            raise ValueError(f"{name} must have sha256 {expected[:12]}, got {found[:12]}")
    state = json.loads((folder / STATE).read_text())
    return Checkpoint(folder=folder, step=int(state["step"]), state=state)


def with_manifest(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns the files and the manifest over them."""
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return {**files, MANIFEST: canonical_json(hashes).encode()}


def write_folder(
    folder: Path, files: Mapping[str, bytes], writing: Callable[[Path, bytes], None]
) -> Path:
    """Writes a folder as a whole: under another name first, synced, then renamed.

    Raises:
        UnwrittenError: it could not be written.
    """
    unfinished = folder.parent / f"{_UNFINISHED}{folder.name}"
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for name, data in files.items():
            writing(unfinished / name, data)
            _write(unfinished / name, data)
        _sync(unfinished)
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise UnwrittenError(
            f"the disk must take {sum(map(len, files.values())):,} bytes: {error}",
            where=str(folder),
            fix="make room, then run the same command again: it goes on from the one before",
        ) from error
    return folder


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
