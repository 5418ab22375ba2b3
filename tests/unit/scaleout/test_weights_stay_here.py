"""Trained weights lie on one machine: a cluster refuses them before it is asked anything."""

from __future__ import annotations

import pytest

from upturn.errors import ConfigError
from upturn.records import Candidate, Example
from upturn.scaleout.runner import RayRunner


def test_a_candidate_with_weights_is_refused_by_name() -> None:
    runner = object.__new__(RayRunner)  # no cluster: it must not come to that
    plain = Candidate(states={})
    trained = Candidate(states={}, settings={"weights": "0123456789ab"})
    row = Example(id="a", inputs={}, labels={}, group="a")
    for ask in (
        lambda: runner.evaluate_all([(plain, [row]), (trained, [row])]),
        lambda: runner.evaluate(trained, [row]),
        lambda: runner.trace(trained, row),
    ):
        with pytest.raises(ConfigError, match=f"{trained.id} has 0123456789ab") as caught:
            ask()
        assert caught.value.fix == "run with executor=local"
