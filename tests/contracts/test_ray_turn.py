"""``executor: ray``: the same turn, trials and verdict as on one machine."""

import json

import pytest

from tests.contracts.ray_process import run_with_ray

pytest.importorskip("ray", reason="needs the [ray] extra")
pytestmark = pytest.mark.ray


def test_a_turn_makes_the_same_trials_wherever_its_rows_run(tmp_path):
    run_with_ray("tests.contracts.ray_turn", tmp_path)
    told = json.loads((tmp_path / "told.json").read_text())
    one, eight, ray = told["one thread"], told["eight threads"], told["ray"]
    assert len(one["trials"]) > 4
    assert one == eight
    assert {k: v for k, v in ray.items() if k != "calls"} == {
        k: v for k, v in one.items() if k != "calls"
    }
    # What the driver asks by itself is paid from the same purse.
    assert ray["calls"] == one["calls"]
