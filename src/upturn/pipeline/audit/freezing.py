"""Frozen evidence in the workspace: one file for a decision, named by the hash of its bytes."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from upturn import __version__
from upturn.errors import CorruptionError
from upturn.gate.frozen import Inputs, freeze
from upturn.pipeline.workspace import Workspace, write_text
from upturn.records import Json, canonical_json


def evidence_file(workspace: Workspace, sha256: str) -> Path:
    """Returns where the evidence of a hash is."""
    return workspace.evidence / f"{sha256}.json"


def freeze_evidence(workspace: Workspace, inputs: Inputs) -> str:
    """Writes what a decision rested on, and returns its hash. The same inputs are one file."""
    text = canonical_json({**freeze(inputs), "upturn": __version__})
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    path = evidence_file(workspace, sha256)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
        _sync_folder(path.parent)
    return sha256


def read_evidence(workspace: Workspace, sha256: str) -> Json:
    """Returns what ``freeze_evidence`` wrote.

    Raises:
        CorruptionError: the file is gone, or a byte of it was changed.
    """
    path = evidence_file(workspace, sha256)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorruptionError(
            f"the evidence of a decision must be a file that can be read, got: {error.strerror}",
            where=str(path),
            fix="restore it from a backup",
        ) from error
    return parse_evidence(content, sha256, where=str(path))


def parse_evidence(content: bytes, sha256: str, *, where: str) -> Json:
    """Returns the frozen value of a file's bytes.

    Raises:
        CorruptionError: they do not hash to what the ledger names.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise CorruptionError(
            f"evidence must hash to {sha256[:12]}, got {found[:12]}: it was changed",
            where=where,
            fix="restore it from a backup",
        )
    return json.loads(content)


def _sync_folder(folder: Path) -> None:
    """A decision that is on the disk must not name a file that a power cut took."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
