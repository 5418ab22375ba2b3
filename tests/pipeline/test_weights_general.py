"""The general rows on the embedded model: it keeps to their form, and a ruined one is noticed."""

from __future__ import annotations

import pytest

from upturn import mini
from upturn.gate import Guards
from upturn.gate.forgotten import judge_others
from upturn.lm import AnswerCache, Meter, ModelSpec
from upturn.lm.connect import connect
from upturn.pipeline.elsewhere import GENERAL, general_task, run_tasks
from upturn.records import Outcome
from upturn.testing.adapters import random_adapter
from upturn.weights.adapter import store

pytest.importorskip("torch", reason="the embedded model needs torch")


def test_the_rows_are_many_and_differ_in_form():
    task = general_task(0.25)
    forms = {str((r.inputs["task"], sorted(r.inputs["asked"]))) for r in task.rows}
    assert len(task.rows) == 60
    assert len(forms) == 15
    assert len({r.id for r in task.rows}) == 60
    assert task.calls == 120


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The guard's finding, and both sides, for an adapter that is noise."""
    folder = tmp_path_factory.mktemp("general")
    peft = random_adapter(mini.weights_dir(), folder / "peft", scale=4.0, r=2)
    noise = store(peft, folder / "adapters", base_id=f"upturn-mini@{mini.content_hash()}", card={})
    meter = Meter()
    with (
        AnswerCache(folder / "cache.db") as cache,
        connect(ModelSpec(model="upturn-mini"), cache=cache, meter=meter) as connection,
    ):
        found = run_tasks(
            [general_task(0.25)], noise, connection=connection, meter=meter, concurrency=32
        )
    return found[0], judge_others(found, Guards(), seed=0)[0]


def test_the_embedded_model_keeps_to_the_form(judged):
    other, guard = judged
    assert other.name == GENERAL
    assert other.plain.count(Outcome.SCORED) >= 58
    assert guard.baseline >= 0.95


def test_an_adapter_that_is_noise_is_noticed(judged):
    other, guard = judged
    assert other.adapted.failures() > 30
    assert not guard.ok
