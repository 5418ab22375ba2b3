"""A workspace as an auditor opens it: nothing is written, and nothing has to be whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from upturn.ledger import Ledger
from upturn.pipeline.audit.champions import served_by
from upturn.pipeline.audit.verification import Seen, Verification, verify
from upturn.pipeline.store import existing
from upturn.pipeline.workspace import Workspace
from upturn.registry import MlflowRegistry, Registry
from upturn.tracking.database import DATABASE
from upturn.tracking.mlflow_store import open_store


def verify_workspace(folder: Path, *, uri: str = "", keys: Sequence[Path] = ()) -> Verification:
    """Opens a workspace and checks it; see ``verification.verify``.

    Args:
        folder: the workspace.
        uri: address of the MLflow server that mirrors the ledger; the workspace's database where
            left out.
        keys: files of public keys.

    Raises:
        InputError: no turn ever ran there.
        StorageError: something cannot be read.
    """
    workspace = Workspace(folder.resolve())
    has_database = (workspace.folder / DATABASE).exists()
    if not has_database and not uri:
        workspace = existing(folder)
    ledger = Ledger(workspace.ledger, clock=lambda: datetime.now(UTC))
    if not has_database and not uri:
        return verify(workspace, ledger, keys=keys)
    programs = {e.program for e in ledger.examine().entries if e.program}
    store = open_store(workspace.folder, uri=uri)
    try:
        # Before the ledger is read for good: a run in progress only makes it longer.
        seen = seen_by(MlflowRegistry(store), programs, own=not uri)
        return verify(workspace, ledger, seen=seen, keys=keys)
    finally:
        store.close()


def seen_by(registry: Registry, programs: Iterable[str], *, own: bool) -> Seen:
    """Returns what a registry holds of a ledger.

    Args:
        registry: the mirror.
        programs: those that the ledger speaks of; the registry may know more.
        own: see ``Seen``.
    """
    heads = registry.heads()
    served = {p: served_by(registry, p) for p in sorted({*heads, *programs})}
    return Seen(heads=heads, served=served, own=own)
