"""Puts a version's files and the gate's figures into MLflow, as a logged model."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from upturn.records import Candidate, Json
from upturn.tracking.mlflow import clean_name
from upturn.tracking.mlflow_store import MlflowStore

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Metric of the logged model -> field of the gate's report.
_METRICS = {
    "holdout/score": "challenger_score",
    "holdout/effect": "effect",
    "holdout/low": "low",
    "holdout/high": "high",
    "holdout/rows": "n",
}


def log_model(
    store: MlflowStore,
    candidate: Candidate,
    program: str,
    content: Mapping[str, bytes],
    tags: Mapping[str, str],
    run_id: str,
) -> str:
    """Returns the id of a logged model that holds the files; never by an MLflow flavour, whose
    pickles would hold the model's key."""
    model = store.client.create_logged_model(
        store.experiment(program),
        name=f"{program}-{candidate.id}",
        source_run_id=run_id or None,
        tags=dict(tags),
        params={clean_name(k): v[:500] for k, v in candidate.choices.items()},
        model_type="dspy-program",
    )
    with tempfile.TemporaryDirectory(prefix="upturn-") as folder:
        for name, data in content.items():
            (Path(folder) / name).write_bytes(data)
        store.client.log_model_artifacts(model.model_id, folder)
    store.client.finalize_logged_model(model.model_id, "READY")
    return model.model_id


def log_metrics(client: MlflowClient, model: str, report: Mapping[str, Json], run_id: str) -> None:
    """Logs the figures of the gate's report with the model; nothing where it has no run."""
    from mlflow.entities import Metric

    if not run_id:
        return
    values = {name: report.get(field) for name, field in _METRICS.items()}
    metrics = [
        Metric(name, float(value), 0, 0, model_id=model)
        for name, value in values.items()
        if value is not None
    ]
    client.log_batch(run_id, metrics=metrics)
