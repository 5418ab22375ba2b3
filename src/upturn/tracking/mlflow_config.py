"""The config of a turn, as the tracker logged it: what a version was measured under."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from upturn.tracking.mlflow_client import check_name, storage_errors
from upturn.tracking.mlflow_store import MlflowStore

_FILE = "config.yaml"


def turn_config(store: MlflowStore, program: str, turn: str = "") -> str | None:
    """Returns the resolved config of a turn as YAML, what looks like a secret masked.

    Args:
        store: the opened store.
        program: the program's name.
        turn: the turn's id; "" for the program's newest turn.

    Returns:
        The text, or None where the store knows no such turn, or has lost its file.

    Raises:
        StorageError: the store cannot be read.
    """
    with storage_errors(store.where), tempfile.TemporaryDirectory(prefix="upturn-") as folder:
        experiment = store.client.get_experiment_by_name(check_name(program))
        if experiment is None:
            return None
        # A turn's own run bears its id as its name; its candidates' runs do not.
        named = f" and tags.turn = '{turn}'" if turn else ""
        runs = store.client.search_runs(
            [experiment.experiment_id],
            f"tags.kind = 'turn'{named}",
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
        for run in runs:
            if any(f.path == _FILE for f in store.client.list_artifacts(run.info.run_id)):
                # One small file is no download that somebody watches.
                os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
                path = store.client.download_artifacts(run.info.run_id, _FILE, folder)
                return Path(path).read_text(encoding="utf-8")
    return None
