"""The real outside of a job: MLflow, the base model, the wall clock, the user."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from upturn.lm.connect import connect
from upturn.pipeline.parts import Parts
from upturn.pipeline.training.telling import TrainingProgress
from upturn.pipeline.training.train import TrainWorld
from upturn.pipeline.world import mlflow_store
from upturn.registry import Registry
from upturn.tracking.jobs import JobTracker
from upturn.tracking.mlflow_jobs import MlflowJobTracker
from upturn.tracking.mlflow_store import open_store


def real_train_world(progress: TrainingProgress) -> TrainWorld:
    """The world that the command line trains in."""
    return TrainWorld(
        registry=_registry,
        tracker=_tracker,
        connect=lambda parts, cache, meter: connect(parts.model, cache=cache, meter=meter),
        launcher=lambda task: task.launcher(),
        clock=lambda: datetime.now(UTC),
        progress=progress,
    )


@contextmanager
def _registry(parts: Parts) -> Generator[Registry]:
    with mlflow_store(parts) as (_, registry):
        yield registry


@contextmanager
def _tracker(parts: Parts) -> Generator[JobTracker]:
    store = open_store(parts.workspace.folder, uri=parts.config.tracking.uri or "")
    try:
        yield MlflowJobTracker(store)
    finally:
        store.close()
