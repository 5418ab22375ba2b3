"""What every tracker promises, asserted on the two that exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from upturn.records import Candidate, Evaluation, Outcome, PromptState, Row
from upturn.testing.tracker import MemoryTracker, migrated_store
from upturn.tracking import RunKind, RunRecord, RunState, Tracker, TurnInfo, TurnStatus
from upturn.tracking.mlflow import MlflowTracker

Read = Callable[[], dict[str, object]]

INFO = TurnInfo(
    turn="turn-1",
    program="triage",
    config_yaml="name: triage\napi_key: hunter2hunter2\n",
    snapshot_id="ab" * 32,
    study="triage-turn-1",
    model_id="upturn-mini@00",
    seed=7,
)
CANDIDATE = Candidate(
    states={"route": PromptState(instruction="Route.")}, choices={"route.instruction": "i-seed"}
)
ROWS = Evaluation(
    candidate_id=CANDIDATE.id,
    rows=(Row(example_id="r1", group="g", outcome=Outcome.SCORED, score=1.0),),
)


def record(kind: RunKind = RunKind.TRIAL, name: str = "t000", score: float = 0.5) -> RunRecord:
    return RunRecord(kind=kind, name=name, candidate=CANDIDATE, metrics={"dev/score": score})


@pytest.fixture(params=["memory", "mlflow"])
def make(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Tracker]]:
    """A maker of trackers over one storage: calling it again is a process that starts again."""
    if request.param == "memory":
        one = MemoryTracker()
        yield lambda: one
        return
    store = migrated_store(tmp_path_factory.getbasetemp().parent / "mlflow", tmp_path)
    yield lambda: MlflowTracker(store)
    store.close()


def scores(tracker: Tracker, run_ids: list[str]) -> list[float | None]:
    """The logged dev score of each run, whatever keeps it."""
    if isinstance(tracker, MemoryTracker):
        by_id = {r.id: r.record for t in tracker.turns.values() for r in t.runs.values()}
        return [by_id[i].metrics.get("dev/score") for i in run_ids]
    assert isinstance(tracker, MlflowTracker)
    client = tracker._client  # pyright: ignore[reportPrivateUsage]
    return [client.get_run(i).data.metrics.get("dev/score") for i in run_ids]


def test_each_candidate_is_a_run_of_its_own(make: Callable[[], Tracker]) -> None:
    tracker = make()
    turn = tracker.start_turn(INFO)
    runs = [
        tracker.log_candidate(record(name="t000", score=0.25)),
        tracker.log_candidate(record(name="t001", score=0.75)),
        tracker.log_candidate(record(RunKind.FINALIST, "t001", 0.5), ROWS),
    ]
    assert len({turn, *runs}) == 4
    assert scores(tracker, runs) == [0.25, 0.75, 0.5]


def test_a_resumed_turn_keeps_what_was_logged(make: Callable[[], Tracker]) -> None:
    first = make()
    turn = first.start_turn(INFO)
    run = first.log_candidate(record(score=0.25))
    resumed = make()
    assert resumed.start_turn(INFO) == turn
    assert resumed.log_candidate(record(score=0.9)) == run
    assert scores(resumed, [run]) == [0.25]


def test_two_turns_do_not_share_runs(make: Callable[[], Tracker]) -> None:
    tracker = make()
    tracker.start_turn(INFO)
    run = tracker.log_candidate(record(score=0.25))
    tracker.start_turn(TurnInfo(**{**vars(INFO), "turn": "turn-2"}))
    other = tracker.log_candidate(record(score=0.75))
    assert other != run
    assert scores(tracker, [run, other]) == [0.25, 0.75]


def test_unknown_metrics_and_failed_trials_are_taken(make: Callable[[], Tracker]) -> None:
    tracker = make()
    tracker.start_turn(INFO)
    lost = RunRecord(
        kind=RunKind.TRIAL,
        name="t000",
        candidate=CANDIDATE,
        metrics={"dev/score": None},
        state=RunState.FAILED,
    )
    assert scores(tracker, [tracker.log_candidate(lost)]) == [None]


def test_links_lead_to_the_turn_and_to_the_comparison(make: Callable[[], Tracker]) -> None:
    tracker = make()
    assert tracker.links() == {}
    tracker.start_turn(INFO)
    assert "champion vs challenger" not in tracker.links()
    tracker.log_candidate(record(RunKind.CHAMPION, "champion"), ROWS)
    tracker.log_candidate(record(RunKind.CHALLENGER, "challenger"), ROWS)
    tracker.log_series("dev/best", [None, 0.5])
    tracker.log_files({"note.txt": b"x"})
    tracker.finish_turn("# HOLD", TurnStatus.FINISHED, verdict="HOLD", metrics={"calls": 3.0})
    assert {"turn", "champion vs challenger"} <= set(tracker.links())
