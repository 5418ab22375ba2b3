"""What commands about versions share: the registry and the ledger of a workspace."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from upturn.errors import InputError
from upturn.ledger import Ledger
from upturn.pipeline.release import Releases
from upturn.pipeline.workspace import Workspace
from upturn.registry import MlflowRegistry, Registry
from upturn.tracking.mlflow_store import open_store


@contextmanager
def open_releases(folder: Path, program: str, *, uri: str = "") -> Generator[Releases]:
    """Opens registry and ledger of a workspace, and holds it while they are used.

    Raises:
        InputError: the folder holds no runs.
        StorageError: a run holds the workspace, or the database is unusable.
    """
    workspace = existing(folder)
    with workspace.locked(), open_registry(folder, uri=uri) as registry:
        ledger = Ledger(workspace.ledger, clock=lambda: datetime.now(UTC))
        yield Releases(registry, ledger, program)


@contextmanager
def open_registry(folder: Path, *, uri: str = "") -> Generator[Registry]:
    """Opens the registry of a workspace for reading, which a run in progress does not prevent.

    Raises:
        InputError: the folder holds no runs.
        StorageError: the database is unusable.
    """
    store = open_store(existing(folder).folder, uri=uri)
    try:
        yield MlflowRegistry(store)
    finally:
        store.close()


def existing(folder: Path) -> Workspace:
    """Returns the workspace in a folder.

    Raises:
        InputError: no turn ever ran there.
    """
    workspace = Workspace(folder.resolve())
    if not workspace.ledger.exists():
        raise InputError(
            "this workspace has no turns yet",
            where=str(folder),
            fix="upturn run configs/NAME.yaml, or name the folder with --workspace",
        )
    return workspace
