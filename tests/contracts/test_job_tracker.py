"""What every tracker of fine-tune jobs promises, asserted on the two that exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from upturn.errors import StorageError
from upturn.testing.jobs import MemoryJobTracker
from upturn.testing.tracker import migrated_store
from upturn.tracking import TurnStatus
from upturn.tracking.jobs import JobInfo, JobTracker, Point
from upturn.tracking.mlflow_jobs import MlflowJobTracker
from upturn.tracking.mlflow_store import MlflowStore

INFO = JobInfo(
    job="triage_sft",
    program="triage",
    fingerprint="f" * 16,
    config_yaml="name: triage_sft\napi_key: hunter2hunter2\n",
    snapshot_id="ab" * 32,
    base_id="upturn-mini@00",
    params={"lora_r": "16"},
    tags={"job_kind": "sft"},
)


@pytest.fixture
def store(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowStore]:
    opened = migrated_store(tmp_path_factory.getbasetemp().parent / "mlflow", tmp_path)
    yield opened
    opened.close()


@pytest.fixture(params=["memory", "mlflow"])
def make(request: pytest.FixtureRequest) -> Callable[[], JobTracker]:
    """A maker of trackers over one storage: calling it again is a process that starts again."""
    if request.param == "memory":
        one = MemoryJobTracker()
        return lambda: one
    store = request.getfixturevalue("store")
    return lambda: MlflowJobTracker(store)


def seen(tracker: JobTracker, run: str) -> dict[str, Any]:
    """Status, curve of the loss, metrics and tags, whatever keeps them."""
    if isinstance(tracker, MemoryJobTracker):
        job = tracker.job
        tags = {**job.info.tags, **job.tags, "kind": "job"}
        curve = job.curve("train/loss")
        return {"status": job.status, "curve": curve, "metrics": job.metrics, "tags": tags}
    client = tracker._client  # pyright: ignore
    found = client.get_run(run)
    history = client.get_metric_history(run, "train/loss")
    return {
        "status": found.info.status,
        "curve": sorted((m.step, m.value) for m in history),
        "metrics": found.data.metrics,
        "tags": found.data.tags,
    }


def points(n: int, start: int = 0) -> list[Point]:
    return [
        Point(name="train/loss", step=i, value=1.0 / (i + 1), time=1_700_000_000.0 + i)
        for i in range(start, start + n)
    ]


def test_a_job_is_one_run_with_its_curves_and_its_end(make):
    tracker = make()
    run = tracker.start_job(INFO)
    tracker.log_points(points(3))
    tracker.log_files({"card.json": b"{}"})
    tracker.finish_job(
        "done", TurnStatus.FINISHED, metrics={"dev/score": 0.8, "x": None}, tags={"adapter": "a"}
    )
    found = seen(tracker, run)
    assert found["status"] == "FINISHED"
    assert found["curve"] == [(0, 1.0), (1, 0.5), (2, 1.0 / 3)]
    assert found["metrics"]["dev/score"] == 0.8
    assert found["tags"]["kind"] == "job"
    assert found["tags"]["adapter"] == "a"
    assert found["tags"]["job_kind"] == "sft"


@pytest.mark.parametrize("status", [TurnStatus.FAILED, TurnStatus.KILLED])
def test_a_job_that_did_not_end_well_says_so_and_goes_on_in_its_run(make, status):
    tracker = make()
    run = tracker.start_job(INFO)
    tracker.log_points(points(2))
    tracker.finish_job("step 2: gone", status)
    assert seen(tracker, run)["status"] == status
    again = make()
    assert again.start_job(INFO) == run
    assert seen(again, run)["status"] in (None, "RUNNING")
    again.log_points(points(2, start=2))
    again.finish_job("done", TurnStatus.FINISHED)
    found = seen(again, run)
    assert found["status"] == "FINISHED"
    assert [step for step, _ in found["curve"]] == [0, 1, 2, 3]


def test_another_fingerprint_is_another_run(store):
    tracker = MlflowJobTracker(store)
    first = tracker.start_job(INFO)
    assert tracker.start_job(replace(INFO, fingerprint="e" * 16)) != first


def test_more_points_than_a_request_takes_all_arrive(store):
    tracker = MlflowJobTracker(store)
    run = tracker.start_job(INFO)
    tracker.log_points(points(1_100))
    assert len(store.client.get_metric_history(run, "train/loss")) == 1_100


def test_card_and_job_are_artifacts_and_secrets_are_masked(store):
    tracker = MlflowJobTracker(store)
    run = tracker.start_job(INFO)
    tracker.log_files({"card.json": b'{"id": "a"}'})
    names = {a.path for a in store.client.list_artifacts(run)}
    assert names == {"job.yaml", "card.json"}
    text = Path(store.client.download_artifacts(run, "job.yaml")).read_text()
    assert "hunter2" not in text
    assert "all jobs" in tracker.links()


def test_a_store_that_is_gone_is_a_storage_error(store, tmp_path):
    tracker = MlflowJobTracker(store)
    tracker.start_job(INFO)
    store.close()
    for path in tmp_path.glob("mlflow.db*"):
        path.write_bytes(b"no database")
    with pytest.raises(StorageError):
        tracker.log_points(points(1))
