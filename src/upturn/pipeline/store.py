"""What commands about versions share: the registry and the ledger of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from upturn.errors import InputError
from upturn.ledger import Entry, Ledger
from upturn.pipeline.audit.mirroring import mirror_head
from upturn.pipeline.releases.release import Releases
from upturn.pipeline.releases.settling import silent
from upturn.pipeline.workspace import Workspace
from upturn.registry import Aliases, MlflowRegistry, Registry
from upturn.tracking.database import DATABASE
from upturn.tracking.local_aliases import read_local
from upturn.tracking.mlflow_store import open_store


@contextmanager
def open_releases(
    folder: Path, program: str, *, uri: str = "", tell: Callable[[str], None] = silent
) -> Generator[Releases]:
    """Opens registry and ledger of a workspace, and holds it while they are used.

    Args:
        folder: the workspace.
        program: whose releases.
        uri: the MLflow server, where the registry is on one.
        tell: told what a kill had left and was done now.

    Raises:
        InputError: the folder holds no runs.
        StorageError: a run holds the workspace, or the database is unusable.
        CorruptionError: the registry has seen entries that the ledger lacks.
    """
    workspace = existing(folder)
    with workspace.locked(), open_registry(folder, uri=uri) as registry:
        ledger = open_ledger(folder)
        yield Releases(registry, ledger, program, tell)
        mirror_head(registry, ledger, program)


def open_ledger(folder: Path) -> Ledger:
    """Returns the ledger of a workspace, which may be read while a run holds it.

    Raises:
        InputError: the folder holds no runs.
    """
    return Ledger(existing(folder).ledger, clock=lambda: datetime.now(UTC))


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


def read_aliases(folder: Path, programs: Iterable[str], *, uri: str = "") -> dict[str, Aliases]:
    """Returns what the aliases of programs name now; nothing where there is no registry here.

    Raises:
        InputError: the folder holds no runs.
        StorageError: the database is unusable.
    """
    root, names = existing(folder).folder, sorted(programs)
    if not names or not (uri or (root / DATABASE).exists()):
        return {}
    if not uri:
        local = {name: read_local(root, name) for name in names}
        known = {name: found for name, found in local.items() if found is not None}
        if len(known) == len(names):
            return known
    with open_registry(folder, uri=uri) as registry:
        return {name: registry.aliases(name) for name in names}


def check_known(entries: Sequence[Entry], program: str | None) -> None:
    """Refuses a program that a ledger does not know; None stands for all of them.

    Raises:
        InputError: naming those that it knows.
    """
    known = sorted({e.program for e in entries if e.program})
    if program is not None and program not in known:
        raise InputError(
            f"a program must be one that the ledger knows ({', '.join(known) or 'none'}), "
            f"got {program!r}",
            fix="upturn ls",
        )


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
