"""The worker's small parts: the best evaluation, losses, lengths, generators, checkpoints."""

from __future__ import annotations

import json
import random
import threading
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the [local] extra")
pytest.importorskip("trl", reason="training needs the [train] extra")

import torch

from upturn.finetune.records import Exit
from upturn.finetune.worker import rng
from upturn.finetune.worker.checkpoints import STATE, Checkpoints, UnwrittenError
from upturn.finetune.worker.events import Events
from upturn.finetune.worker.guards import Halt, LossWatch, Watchdog
from upturn.finetune.worker.memory import activation_bytes, is_out_of_memory
from upturn.finetune.worker.standing import Measured, Standing


def measured(step: int, score: float | None, accuracy: float | None = None, **rest) -> Measured:
    values = (
        ()
        if score is None
        else tuple([1.0] * round(score * 100) + [0.0] * round(100 - score * 100))
    )
    return Measured(step=step, score=score, values=values, pair_accuracy=accuracy, **rest)


def test_the_best_score_wins_the_earlier_of_equals_and_never_the_start():
    standing = Standing()
    taken = [standing.take(measured(i, s)) for i, s in enumerate((0.9, 0.5, 0.6, 0.6))]
    assert taken == [False, True, True, False]
    assert standing.best is not None
    assert (standing.best.step, standing.waits) == (2, 1)
    assert standing.gives_up(1)
    assert not standing.gives_up(2)
    assert not standing.gives_up(0)


def test_a_score_that_nobody_knows_is_behind_any():
    standing = Standing()
    standing.take(measured(1, None))
    assert standing.take(measured(2, 0.0))


def test_preferences_must_not_cost_the_score():
    standing = Standing()
    standing.take(measured(0, 0.8, 0.0))
    standing.take(measured(5, 0.78, 0.6))
    standing.take(measured(10, 0.5, 1.0))
    assert standing.best is not None
    assert standing.best.step == 5, "0.5 is below 0.8 by more than one standard error"
    standing.take(measured(15, 0.8, 0.7))
    assert standing.best.step == 15


def test_of_equal_sums_the_wider_margin_is_kept_but_patience_counts_on():
    standing = Standing()
    standing.take(measured(0, 0.5, 0.0))
    assert standing.take(measured(1, 0.5, 1.0, margin=0.1))
    assert standing.take(measured(2, 0.5, 1.0, margin=0.9))
    assert standing.waits == 1


def test_a_standing_survives_json():
    standing = Standing()
    for each in (measured(0, 0.5, 0.0), measured(2, 0.6, 0.7, length={"spearman": 0.1})):
        standing.take(each)
    again = Standing.from_json(json.loads(json.dumps(standing.to_json())))
    assert again == standing


def test_losses_diverge_by_the_stated_rule():
    watch = LossWatch()
    for step in range(40):
        watch.take(step, 0.2)
    for step in range(40, 50):
        watch.take(step, 2.0)
    with pytest.raises(Halt, match="diverges") as caught:
        watch.take(50, 2.0)
    assert caught.value.exit_code is Exit.NUMBERS
    # 3 x 0.2 + 0.5 = 1.1: the mean of twenty passes it with the eleventh loss of 2.0.
    assert caught.value.values["step"] == 50


def test_losses_near_zero_may_wander_and_a_watch_survives_json():
    watch = LossWatch()
    for step in range(100):
        watch.take(step, 0.001 if step % 40 < 20 else 0.4)
    assert LossWatch(**json.loads(json.dumps(watch.to_json()))).to_json() == watch.to_json()


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_it(loss):
    with pytest.raises(Halt, match="the loss must be finite"):
        LossWatch().take(3, loss)


def test_what_is_drawn_inside_changes_nothing_outside():
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    state = json.loads(json.dumps(rng.capture()))
    expected = [draw(), draw()]
    rng.restore(state)
    first = draw()
    with rng.untouched():
        draw()
    assert [first, draw()] == expected


def files(step: int) -> dict[str, bytes]:
    return {"weights": bytes(range(step)), STATE: json.dumps({"step": step}).encode()}


def test_checkpoints_are_found_newest_first_and_pruned(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    for step in (2, 4, 1000002):
        checkpoints.save(step, {**files(4), STATE: json.dumps({"step": step}).encode()})
    told: list[str] = []
    found = checkpoints.newest(told.append)
    assert found is not None
    assert (found.step, told) == (1000002, [])
    checkpoints.prune([4])
    assert [p.name for p in (tmp_path / "c").iterdir()] == ["step-000004"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    def full(path, data):
        if path.name == "manifest.json":
            raise OSError(28, "No space left on device")

    Checkpoints(tmp_path).save(2, files(2))
    with pytest.raises(UnwrittenError, match="No space left on device"):
        Checkpoints(tmp_path, writing=full).save(2, files(3))
    assert [p.name for p in tmp_path.iterdir()] == ["step-000002"]
    assert (tmp_path / "step-000002" / "weights").read_bytes() == bytes(range(2))


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda p: (p / "weights").unlink(), "weights is missing"),
        (lambda p: (p / "manifest.json").write_text("{"), "Expecting"),
        (lambda p: (p / STATE).write_text("{}"), "state.json must have sha256"),
    ],
)
def test_what_is_broken_is_named(tmp_path, break_it, told):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(2, files(2))
    checkpoints.save(4, files(4))
    break_it(tmp_path / "step-000004")
    said: list[str] = []
    found = checkpoints.newest(said.append)
    assert found is not None
    assert found.step == 2
    assert told in said[0]


def test_events_are_lines_and_numbers_that_are_none_become_null(tmp_path):
    path = tmp_path / "events.jsonl"
    Events(path, clock=lambda: 5.0).say("step", step=1, loss=float("nan"), more={"a": [1.0]})
    Events(path, speaks=False).say("step", step=2)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"kind": "step", "time": 5.0, "step": 1, "loss": None, "more": {"a": [1.0]}}
    ]


def test_the_watchdog_leaves_when_nothing_moves():
    left, words = threading.Event(), threading.Event()
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        left.set()

    with Watchdog(0.01, words.set, leave=leave):
        assert left.wait(60)
    assert (codes, words.is_set()) == ([Exit.STALLED], True)


def test_memory_errors_are_known_by_what_they_say():
    wrapped = RuntimeError("a row failed")
    wrapped.__cause__ = torch.OutOfMemoryError("CUDA out of memory")
    assert is_out_of_memory(wrapped)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes differ"))


def test_computing_activations_twice_keeps_less():
    from transformers import LlamaConfig

    config = LlamaConfig(hidden_size=512, intermediate_size=1408, num_hidden_layers=7)
    kept, twice = (activation_bytes(config, tokens=3700, checkpointing=c) for c in (False, True))
    assert 1e9 < kept < 1.4e9
    assert twice < kept / 4


def test_a_step_of_a_measured_row_is_json():
    said = replace(measured(3, 0.5, 0.7), length={"spearman": 0.1}).said()
    assert said["pair_accuracy"] == 0.7
    assert "values" not in said
    assert "length" not in said
