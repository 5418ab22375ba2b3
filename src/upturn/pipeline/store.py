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
from upturn.registry import MlflowRegistry
from upturn.tracking.mlflow_store import open_store


@contextmanager
def open_releases(folder: Path, program: str, *, uri: str = "") -> Generator[Releases]:
    """Opens registry and ledger of a workspace, and holds it while they are used.

    Raises:
        InputError: the folder holds no runs.
        StorageError: a run holds the workspace, or the database is unusable.
    """
    workspace = existing(folder)
    with workspace.locked():
        store = open_store(workspace.folder, uri=uri)
        try:
            ledger = Ledger(workspace.ledger, clock=lambda: datetime.now(UTC))
            yield Releases(MlflowRegistry(store), ledger, program)
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
