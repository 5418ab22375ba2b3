"""Fine-tune jobs in MLflow: one run each, in the experiment of their program.

Our own client, not a library's callback: those mark crashed runs as finished.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from upturn.tracking import links
from upturn.tracking.base import TurnStatus
from upturn.tracking.jobs import JobInfo, Point
from upturn.tracking.mlflow import NOTE, clean_name, note
from upturn.tracking.mlflow_client import storage_errors
from upturn.tracking.mlflow_store import MlflowStore
from upturn.tracking.redact import redact

_JOB = "job"
_PARAM_LIMIT = 6_000
#: Most metrics that a server takes in one request.
_BATCH = 1_000


class MlflowJobTracker:
    """Keeps jobs in MLflow. Implements ``JobTracker``.

    Args:
        store: the opened store.
        clock: seconds since the epoch.
    """

    def __init__(self, store: MlflowStore, *, clock: Callable[[], float] = time.time) -> None:
        self._store, self._client, self._clock = store, store.client, clock
        self._experiment = ""
        self._run = ""

    def start_job(self, info: JobInfo) -> str:
        self._experiment = self._store.experiment(info.program)
        where = f"tags.kind = '{_JOB}' and tags.fingerprint = '{info.fingerprint}'"
        where += f" and tags.name = '{info.job}'"
        with storage_errors(self._store.where):
            found = self._client.search_runs([self._experiment], where, max_results=1)
            if found:
                self._run = str(found[0].info.run_id)
                self._client.update_run(self._run, status="RUNNING")
            else:
                self._run = self._create(info)
        return self._run

    def log_points(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        made = [Metric(clean_name(p.name), p.value, int(p.time * 1000), p.step) for p in points]
        with storage_errors(self._store.where):
            for i in range(0, len(made), _BATCH):
                self._client.log_batch(self._run, metrics=made[i : i + _BATCH])

    def log_files(self, files: Mapping[str, bytes]) -> None:
        with (
            storage_errors(self._store.where),
            tempfile.TemporaryDirectory(prefix="upturn-") as folder,
        ):
            for name, content in files.items():
                Path(folder, name).write_bytes(content)
            self._client.log_artifacts(self._run, folder)

    def finish_job(
        self,
        note: str,
        status: TurnStatus,
        *,
        metrics: Mapping[str, float | None] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Metric, RunTag

        now = self._now()
        known = {k: v for k, v in (metrics or {}).items() if v is not None}
        made = [Metric(clean_name(k), float(v), now, 0) for k, v in known.items()]
        named = {NOTE: _described(note), **(tags or {})}
        with storage_errors(self._store.where):
            written = [RunTag(k, v) for k, v in named.items()]
            self._client.log_batch(self._run, metrics=made, tags=written)
            self._client.set_terminated(self._run, str(status), now)

    def links(self) -> dict[str, str]:
        if not self._run:
            return {}
        ui, experiment = self._store.ui, self._experiment
        jobs = links.runs_link(
            ui, experiment, where=f"tags.kind = '{_JOB}'", order_by="dev/score", chart=True
        )
        return {"job": links.run_link(ui, experiment, self._run), "all jobs": jobs}

    def _create(self, info: JobInfo) -> str:
        from mlflow.entities import Param

        tags = {
            **info.tags,
            "kind": _JOB,
            "name": info.job,
            "program": info.program,
            "snapshot": info.snapshot_id[:12],
            "fingerprint": info.fingerprint,
        }
        run = str(
            self._client.create_run(
                self._experiment, start_time=self._now(), tags=tags, run_name=info.job
            ).info.run_id
        )
        self._run = run
        params = {"base": info.base_id, **info.params}
        made = [Param(clean_name(k), v[:_PARAM_LIMIT]) for k, v in params.items()]
        self._client.log_batch(run, params=made)
        self.log_files({"job.yaml": redact(info.config_yaml).encode()})
        return run

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _described(text: str) -> str:
    return note(text)
