"""``mlflow:URI#EXPERIMENT`` as a source: a live tracking store, read trace by trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.ingest.logs import same, take
from upturn.errors import DataError, StorageError
from upturn.ingest import Options, Progress, preview
from upturn.store import FeedbackStore
from upturn.testing.tracker import migrated_store
from upturn.tracking.mlflow_client import tracking_uri_set
from upturn.tracking.mlflow_store import MlflowStore


@pytest.fixture
def tracking(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowStore]:
    (tmp_path / "mlruns").mkdir()
    cache = tmp_path_factory.getbasetemp().parent / "mlflow"
    made = migrated_store(cache, tmp_path / "mlruns")
    yield made
    made.close()


# MLflow warns about its own type hints when it starts its first span, and makes no span then.
@pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning")
def test_a_tracking_store_is_a_source(tracking: MlflowStore, tmp_path: Path):
    import mlflow
    from mlflow.entities.trace_location import MlflowExperimentLocation

    place = (tmp_path / "artifacts").as_uri()
    where = MlflowExperimentLocation(
        tracking.client.create_experiment("helpdesk", artifact_location=place)
    )
    with tracking_uri_set(tracking.uri):
        try:
            for n in range(3):
                with mlflow.start_span("qa", trace_destination=where) as span:
                    span.set_inputs({"question": f"When {n}?"})
                    span.set_outputs("At nine.")
            mlflow.flush_trace_async_logging()
        finally:
            mlflow.tracing.reset()

    source = f"mlflow:{tracking.uri}#helpdesk"
    told: list[Progress] = []
    options = Options()  # the traces are of just now
    report = take(
        tmp_path / "s.db", source, rejects=tmp_path / "r", progress=told.append, options=options
    )
    assert (report.requests, report.rejected, report.records) == (3, 0, 3)
    assert report.sources[0].format == "mlflow"
    assert (told[-1].done, told[-1].size) == (True, None)
    with FeedbackStore.open(str(tmp_path / "s.db")) as store:
        asked = {r.inputs["question"] for r in store.requests()}
    assert asked == {"When 0?", "When 1?", "When 2?"}
    again = take(tmp_path / "s.db", source, rejects=tmp_path / "r", options=options)
    assert (again.requests, again.duplicates) == (0, 3)
    assert len(preview(source, scrub=same, records=2).records) == 2
    with pytest.raises(StorageError, match="helpdesk"):
        take(tmp_path / "s.db", f"{source}ed", rejects=tmp_path / "r")


def test_a_source_without_an_experiment_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="must be named mlflow:URI#EXPERIMENT"):
        take(tmp_path / "s.db", "mlflow:sqlite:///x.db", rejects=tmp_path / "r")
