"""The real outside of a turn: the configured model, MLflow, the wall clock, the user."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from upturn.ledger import current_actor
from upturn.lm.connect import connect, identify
from upturn.pipeline.parts import Parts
from upturn.pipeline.progress import Progress
from upturn.pipeline.seams import World
from upturn.registry import MlflowRegistry, Registry
from upturn.tracking import Tracker
from upturn.tracking.mlflow import MlflowTracker
from upturn.tracking.mlflow_store import open_store


@contextmanager
def mlflow_store(parts: Parts) -> Generator[tuple[Tracker, Registry]]:
    """Opens tracker and registry in the workspace's database, or on the configured server.

    Raises:
        StorageError: the database is another version's or unwritable, or no server answers.
    """
    store = open_store(parts.workspace.folder, uri=parts.config.tracking.uri or "")
    try:
        yield MlflowTracker(store), MlflowRegistry(store)
    finally:
        store.close()


def real_world(progress: Progress) -> World:
    """The world that the command line runs in."""
    return World(
        identify=lambda parts: identify(parts.model),
        connect=lambda parts, cache, meter: connect(
            parts.model,
            cache=cache,
            meter=meter,
            tell=lambda sentence: progress.step("model", sentence),
        ),
        store=mlflow_store,
        clock=lambda: datetime.now(UTC),
        progress=progress,
        who=user(),
    )


def user() -> str:
    """The name that the ledger writes down: the job's, or the user's."""
    return current_actor()
