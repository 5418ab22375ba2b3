"""Two real nodes do what one machine does: the same rows, one purse, nothing paid twice.

The stories run in ``ray_scenarios``; here is what must have come out of them.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from tests.contracts.ray_process import run_with_ray
from upturn.scaleout.cluster import QUIET_ENV

pytest.importorskip("ray", reason="needs the [ray] extra")
pytestmark = pytest.mark.ray


class Told:
    def __init__(self, folder: Path, out: str) -> None:
        self.folder, self.out = folder, out

    def __getitem__(self, name: str):
        path = self.folder / f"{name}.json"
        assert path.exists(), self.out
        return json.loads(path.read_text())


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Told:
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "ray-stories"
    folder.mkdir(exist_ok=True)
    # Processes that share the tests of this file share one cluster: the first tells the others.
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        out = folder / "out.txt"
        if not out.exists():
            out.write_text(_tell(folder))
    return Told(folder, out.read_text())


def _tell(folder: Path) -> str:
    env = {
        **QUIET_ENV,
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "UPTURN_TEST_FOLDER": str(folder),
    }
    try:
        return run_with_ray("tests.contracts.ray_scenarios", folder, **env)
    except RuntimeError as error:
        return f"failed: {error}"


def once(asked: dict[str, int], n: int) -> bool:
    """Whether n texts were asked, each once."""
    return len(asked) == n and set(asked.values()) == {1}


def test_rows_are_those_of_one_thread_and_of_eight(told):
    story = told["same_rows"]
    assert [len(rows) for rows in story["ray"]] == [23, 7]
    assert story["ray"] == story["one"] == story["eight"]
    outcomes = [row["outcome"] for row in story["ray"][0]]
    assert outcomes == ["scored"] * 20 + ["failed", "failed", "unscored"]
    failures = [row["failure"] for row in story["ray"][0][20:]]
    assert failures == ["program", "format", None]


def test_a_row_is_run_once_and_told_once(told):
    story = told["same_rows"]
    assert story["again"] == story["ray"]
    assert story["told"] == 30
    # One row of the thirty raises before it asks. Then two evaluators of one machine ask again.
    assert story["calls"] == 29
    assert story["asked_in_all"] == 3 * 29


def test_a_trace_comes_from_a_node_and_costs_nothing(told):
    story = told["same_rows"]
    assert story["trace"] == {"say": {"text": "same 0 even", "word": "yes"}}
    assert (story["calls_after_trace"], story["cached_after_trace"]) == (29, 1)


def test_another_run_finds_what_was_paid_on_the_drivers_disk(told):
    story = told["resumed"]
    assert once(story["asked"], 6)
    assert (story["on_disk"], story["paid_after"], story["cached_after"]) == (4, 2, 4)
    assert story["cached_rows"] == [1, 1, 1, 1, 0, 0]
    assert story["scores"]


def test_workers_that_ask_the_same_pay_once(told):
    story = told["same_question"]
    assert story["asked"] == {"twin": 1}
    assert story["paid"] == 1
    assert story["totals"] == [1, 7]


def test_no_node_makes_a_call_beyond_the_cap(told):
    story = told["call_cap"]
    assert story["error"]["kind"] == "BudgetExceededError"
    assert "calls must stay below the cap of 7, got 7" in story["error"]["text"]
    assert once(story["asked"], 7)
    assert story["calls"] == 7
    assert story["outcomes"] == {"scored": 7, "budget": 17}


def test_the_money_cap_holds_over_all_nodes(told):
    story = told["money_cap"]
    assert story["error"]["kind"] == "BudgetExceededError"
    assert "caps.max_usd" in story["error"]["text"]
    # The cap is the price of five and a half calls; while prices are unknown, one call tries.
    assert 5 <= story["usd_in_prices"] < 6.5
    assert story["asked"] == story["calls"]


def test_an_error_in_the_metric_reads_as_on_one_machine(told):
    story = told["errors"]
    assert story["metric"] == story["metric_on_one_machine"]
    assert story["metric"]["kind"] == "MetricError"
    assert story["after"] == "scored 4, unscored 0, failed 0"


def test_what_a_user_can_mend_comes_without_a_traceback(told):
    story = told["errors"]
    assert story["outage"]["kind"] == "OutageError"
    assert story["outage"]["text"].startswith("2 of 2 rows could not reach the model: ")
    assert story["program"]["kind"] == "ProgramError"
    assert "p.py:1: the file does not import: ModuleNotFoundError" in story["program"]["text"]
    assert story["version"]["kind"] == "ConfigError"
    assert "every node must run upturn 0.0.1" in story["version"]["text"]
    assert "Traceback" not in json.dumps(story)


def test_a_cluster_that_never_has_room_is_told(told):
    assert told["no_room"]["kind"] == "OutageError"
    assert "none has 64 free CPUs" in told["no_room"]["text"]


def test_an_interrupted_run_loses_no_answer(told):
    story = told["interrupted"]
    assert story["error"] == {"kind": "KeyboardInterrupt"}
    assert story["after"] == "scored 12, unscored 0, failed 0"
    assert once(story["asked"], 12)
    assert story["calls"] == 12


def test_rows_of_a_worker_that_ended_run_again(told):
    story = told["worker_lost"]
    assert story["outcomes"] == ["scored"] * 4
    assert once(story["asked"], 4)
    # Four calls were allowed: those that died with their workers were given back.
    assert story["totals"] == [4, 2]
    assert story["too_often"]["kind"] == "OutageError"
    assert "may be lost with their worker 0 times" in story["too_often"]["text"]


def test_a_lost_node_changes_no_row_and_nothing_is_paid_twice(told):
    story = told["node_lost"]
    assert story["ray"] == story["one"]
    assert once(story["asked"], 32)
    calls, failed, cached = story["totals"]
    assert (calls, failed) == (32, 4)
    # What the node had paid for before it was lost is used, not asked for again.
    assert cached == story["paid_before"] > 0
    assert story["told"] == ["a worker was lost; its rows run again (1 of 3)"]


def test_ray_writes_nothing_where_only_an_answer_belongs(told):
    assert [line.partition(" ")[0] for line in told.out.splitlines()] == [
        *("cluster", "same_rows", "resumed", "same_question", "call_cap", "money_cap"),
        *("errors", "no_room", "interrupted", "worker_lost", "node_lost"),
    ]
