"""What a turn looks like in MLflow."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from upturn.records import Candidate, Evaluation, Example, FailureKind, Outcome, PromptState, Row
from upturn.registry import MlflowRegistry
from upturn.testing.tracker import migrated_store
from upturn.tracking import RunKind, RunRecord, TurnInfo, TurnStatus
from upturn.tracking.links import compare_link, model_link, runs_link
from upturn.tracking.mlflow import NOTE, NOTE_LIMIT, MlflowTracker, clean_name, note
from upturn.tracking.mlflow_store import MlflowStore
from upturn.tracking.redact import redact
from upturn.tracking.rows import rows_table

CANDIDATE = Candidate(
    states={"l[0]": PromptState(instruction="Go.")}, choices={"l[0].instruction": "i-1"}
)
INFO = TurnInfo(
    turn="20261121",
    program="triage",
    config_yaml="model:\n  name: x\n  api_key: sk-abcdefgh12345678\n",
    snapshot_id="ab" * 32,
    study="s",
    model_id="m@1",
    seed=7,
)
EXAMPLES = (
    Example(id="r1", inputs={"message": "hi"}, labels={"team": "a"}, group="g"),
    Example(id="r2", inputs={"message": "ho"}, labels={"team": "b"}, group="g"),
)
ROWS = Evaluation(
    candidate_id=CANDIDATE.id,
    rows=(
        Row(
            example_id="r1",
            group="g",
            outcome=Outcome.SCORED,
            score=1.0,
            parts={"team": 1.0},
            outputs={"team": "a"},
        ),
        Row(
            example_id="r2",
            group="g",
            outcome=Outcome.FAILED,
            failure=FailureKind.FORMAT,
            message="no field",
        ),
    ),
)


@pytest.fixture
def store(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowStore]:
    made = migrated_store(tmp_path_factory.getbasetemp().parent / "mlflow", tmp_path)
    yield made
    made.close()


def test_a_turn_in_mlflow(store: MlflowStore, tmp_path: Path) -> None:
    tracker = MlflowTracker(store, clock=lambda: 1_000.0)
    turn = tracker.start_turn(INFO)
    record = RunRecord(
        kind=RunKind.CHALLENGER,
        name="challenger",
        candidate=CANDIDATE,
        metrics={"holdout/score": 0.5, "holdout/team": 0.5, "holdout/x": None},
        seconds=2.0,
    )
    run_id = tracker.log_candidate(record, ROWS, EXAMPLES)
    tracker.log_series("dev/best", [None, 0.25, 0.5])
    tracker.finish_turn(
        "## HOLD", TurnStatus.FINISHED, verdict="HOLD", metrics={"holdout/effect": 0.125}
    )

    run = store.client.get_run(run_id)
    assert run.data.metrics == {"holdout/score": 0.5, "holdout/team": 0.5}
    assert run.data.params == {"l_0_.instruction": "i-1"}
    assert (run.info.start_time, run.info.end_time) == (998_000, 1_000_000)
    tags = run.data.tags
    expected = {"kind": "challenger", "turn": "20261121", "snapshot": "ab" * 6, "decision": "HOLD"}
    assert {k: tags[k] for k in expected} == expected
    assert tags["mlflow.parentRunId"] == turn
    assert tags[NOTE] == "## HOLD"
    assert run.inputs.dataset_inputs[0].dataset.name == "holdout"

    folder = tmp_path / "artifacts" / "triage" / run_id / "artifacts"
    table = json.loads((folder / "rows.json").read_text())
    assert table["data"][0][:3] == ["r2", "failed", None]
    assert json.loads((folder / "candidate.json").read_text()) == CANDIDATE.to_json()

    whole = store.client.get_run(turn)
    assert whole.info.status == "FINISHED"
    assert whole.data.metrics == {"dev/best": 0.5, "holdout/effect": 0.125}
    history = store.client.get_metric_history(turn, "dev/best")
    assert [(m.step, m.value) for m in history] == [(1, 0.25), (2, 0.5)]
    experiment = store.client.get_experiment(whole.info.experiment_id)
    assert experiment.tags["mlflow.experimentKind"] == "genai_development"


def test_no_key_reaches_the_store(store: MlflowStore, tmp_path: Path) -> None:
    MlflowTracker(store).start_turn(INFO)
    texts = [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()]
    assert any(b"api_key: ***" in t for t in texts)
    assert not any(b"abcdefgh12345678" in t for t in texts)


def test_a_run_that_was_cut_short_is_completed(store: MlflowStore) -> None:
    tracker = MlflowTracker(store)
    tracker.start_turn(INFO)
    record = RunRecord(
        kind=RunKind.TRIAL, name="t000", candidate=CANDIDATE, metrics={"dev/score": 0.5}
    )
    run_id = tracker._create_candidate(record)  # as a kill between the two calls leaves it
    resumed = MlflowTracker(store)
    resumed.start_turn(INFO)
    assert resumed.log_candidate(record) == run_id
    run = store.client.get_run(run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"dev/score": 0.5})


def test_a_version_is_linked_and_the_process_wide_uri_stays(store: MlflowStore) -> None:
    before = os.environ.get("MLFLOW_TRACKING_URI")
    tracker = MlflowTracker(store)
    tracker.start_turn(INFO)
    run = tracker.log_candidate(
        RunRecord(kind=RunKind.CHALLENGER, name="c", candidate=CANDIDATE, metrics={})
    )
    report = {"verdict": "PROMOTE", "challenger_score": 0.75, "effect": None, "n": 200}
    version = MlflowRegistry(store).register(
        CANDIDATE,
        program="triage",
        turn="20261121",
        report_json=report,
        files={"decision.md": b"## PROMOTE: triage\n"},
        run_id=run,
    )
    found = store.client.get_model_version("triage", version)
    assert (found.run_id, found.description) == (run, "PROMOTE: triage\n")
    model = store.client.get_logged_model(found.source.removeprefix("models:/"))
    assert {m.key: m.value for m in model.metrics or []} == {
        "holdout/score": 0.75,
        "holdout/rows": 200.0,
    }
    assert os.environ.get("MLFLOW_TRACKING_URI") == before


def test_a_note_keeps_below_the_limit_and_says_where_the_rest_is() -> None:
    assert note("short") == "short"
    assert note("| a | b |\nx | y") == "| a&nbsp; | b&nbsp; |\nx | y"
    cut = note("line of text\n" * 2_000)
    assert NOTE_LIMIT - 100 < len(cut) < NOTE_LIMIT
    assert cut.endswith("the whole text is in the artifact `decision.md`.")


def test_rows_become_a_table_with_the_worst_first() -> None:
    table = rows_table(ROWS, EXAMPLES)
    lines = [dict(zip(table["columns"], line, strict=True)) for line in table["data"]]
    assert [line["example"] for line in lines] == ["r2", "r1"]
    assert lines[0]["label team"] == "b"
    assert lines[0]["answer team"] is None
    assert lines[0]["part team"] is None
    assert (lines[0]["failure"], lines[0]["message"]) == ("format", "no field")
    assert (lines[1]["input message"], lines[1]["answer team"], lines[1]["score"]) == ("hi", "a", 1)
    assert rows_table(Evaluation(candidate_id="x", rows=())) == {"columns": [], "data": []}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  api_key: hunter2", "  api_key: ***"),
        ("lm: {model: x, api-key: hunter2}", "lm: {model: x, api-key: ***"),
        ("uri: postgresql://me:pw@host/db", "uri: postgresql://***@host/db"),
        ("note: use sk-proj-abcdefgh1234", "note: use ***"),
        ("max_tokens: 100", "max_tokens: 100"),
        ("n_tokens: 5\ntoken: abc", "n_tokens: 5\ntoken: ***"),
    ],
)
def test_secrets_are_masked_and_counts_are_not(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_names_and_links() -> None:
    assert clean_name("l[0].instruction é") == "l_0_.instruction _"
    assert runs_link("u", "1", where="tags.kind = 'trial'") == (
        "u/#/experiments/1/runs?searchFilter=tags.kind%20%3D%20%27trial%27"
        "&orderByKey=metrics.%60dev%2Fscore%60&orderByAsc=false"
    )
    assert compare_link("u", "1", ["a", "b"]) == (
        "u/#/compare-runs?runs=%5B%22a%22%2C%22b%22%5D&experiments=%5B%221%22%5D"
    )
    assert model_link("u", "p q", "2") == "u/#/models/p%20q/versions/2"
