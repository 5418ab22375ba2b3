"""The checks of ``upturn doctor``: each looks at one thing and says what it found."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from upturn.datasets import Snapshot
from upturn.errors import StorageError, UpturnError
from upturn.ledger import Ledger
from upturn.lm import AnswerCache, ModelSpec
from upturn.lm.cache import repair
from upturn.lm.connect import identify
from upturn.pipeline.workspace import Workspace
from upturn.records import Json
from upturn.tracking.mlflow_store import open_store

_PACKAGES = ("dspy", "optuna", "mlflow", "numpy", "torch", "transformers", "peft")
_OPTIONAL = frozenset({"torch", "transformers", "peft"})
_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found."""

    name: str
    ok: bool
    detail: str

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def examine(folder: Path) -> list[Finding]:
    """Runs every check; one that fails does not stop the others."""
    workspace = Workspace(folder.resolve())
    checks: dict[str, Callable[[], str]] = {
        "python": lambda: sys.version.split()[0],
        "packages": _packages,
        "embedded model": lambda: identify(ModelSpec(model="upturn-mini")),
        "disk": lambda: _disk(workspace.folder),
        "database": lambda: _database(workspace),
        "ledger": lambda: f"{_ledger(workspace).verify()} entries, chain whole",
        "snapshots": lambda: _snapshots(workspace),
        "answer cache": lambda: _cache(workspace),
    }
    return [_finding(name, check) for name, check in checks.items()]


def mend_cache(folder: Path) -> str:
    """Drops broken answers and says what was done."""
    path = Workspace(folder.resolve()).cache
    if not path.exists():
        return f"no cache in {folder}"
    dropped, aside = repair(path)
    if aside is not None:
        return f"the cache could not be read; moved to {aside}, a new one starts empty"
    return f"dropped {dropped} broken answers from {path}"


def _finding(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, ok=True, detail=check())
    except UpturnError as error:
        return Finding(name=name, ok=False, detail=str(error))


def _packages() -> str:
    found: list[str] = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            if name not in _OPTIONAL:
                raise UpturnError(f"{name} is not installed", fix="pip install upturn") from None
    return ", ".join(found)


def _disk(folder: Path) -> str:
    place = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(place).free
    if free < _FREE_BYTES:
        raise StorageError(
            f"at least {_FREE_BYTES / 1e9:.0f} GB must be free, got {free / 1e9:.1f} GB",
            where=str(place),
            fix="free disk space",
        )
    return f"{free / 1e9:.0f} GB free at {place}"


def _database(workspace: Workspace) -> str:
    if not (workspace.folder / "mlflow.db").exists():
        return "none yet"
    store = open_store(workspace.folder)
    store.close()
    return "opens"


def _ledger(workspace: Workspace) -> Ledger:
    return Ledger(workspace.ledger, clock=lambda: datetime.now(UTC))


def _snapshots(workspace: Workspace) -> str:
    folders = sorted(p.parent for p in workspace.snapshots.glob("*/manifest.json"))
    for folder in folders:
        Snapshot.load(folder)
    return f"{len(folders)}, every file as its hash says"


def _cache(workspace: Workspace) -> str:
    if not workspace.cache.exists():
        return "none yet"
    with AnswerCache(workspace.cache) as cache, closing(sqlite3.connect(workspace.cache)) as db:
        # Reading an answer is what compares it with its hash.
        for (key,) in db.execute("select key from answers"):
            cache.get(key)
        return f"{len(cache)} answers, every one as its hash says"
