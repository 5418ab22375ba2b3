"""``executor: ray`` without an address: a cluster for one turn, closed to everybody else."""

import json

import pytest

from tests.contracts.ray_process import run_with_ray

pytest.importorskip("ray", reason="needs the [ray] extra")
pytestmark = pytest.mark.ray

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def test_a_local_cluster_listens_on_loopback_only_and_goes_away(tmp_path):
    out = run_with_ray("tests.contracts.ray_local", tmp_path)
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["score"] == 1.0
    assert told["processes"] > 3
    assert set(told["addresses"]) <= LOOPBACK
    assert told["addresses"]
    assert told["sigterm_is_ours"]
    assert not told["still_connected"]
    assert out == ""
