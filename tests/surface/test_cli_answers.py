"""What each command answers on a project that has run one turn."""

from __future__ import annotations

from tests.surface.conftest import Finished, Upturn

RUN_KEYS = {
    "verdict",
    "effect",
    "low",
    "high",
    "n",
    "looks",
    "calls",
    "cached_calls",
    "seconds",
    "version",
}


def test_run_gives_the_recorded_answer_without_a_call(finished: Finished, upturn: Upturn):
    ran = upturn("run", finished.config, "--json")
    assert ran.code == 0, ran.err
    assert set(ran.json) >= RUN_KEYS
    assert ran.json["repeated"] is True
    assert ran.json["calls"] == ran.json["cached_calls"] == 0
    first = finished.first
    for key in ("turn", "verdict", "effect", "low", "high", "n", "looks", "version"):
        assert ran.json[key] == getattr(first, key)
    assert (first.verdict, first.version, first.promoted) == ("PROMOTE", "2", False)
