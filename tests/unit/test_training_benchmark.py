"""The training benchmark counts right: step times, ratios, intervals, verdicts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import training
from benchmarks.training_speed import (
    BARE,
    OURS,
    Comparison,
    Measured,
    cpu_seconds,
    peak_kb,
    step_seconds,
    step_times,
)


def measured(way: str, step_s: float, peak_mb: float) -> Measured:
    return Measured(
        way=way, step_s=step_s, peak_mb=peak_mb, seconds=step_s * 10, cpu_s=step_s * 15, steps=10
    )


def test_steps_are_read_from_events_and_from_the_bare_script():
    events = [
        {"kind": "start", "time": 1.0, "step": 0},
        {"kind": "step", "time": 5.0, "step": 2, "loss": 1.0},
        {"kind": "step", "time": 3.0, "step": 1, "loss": 2.0},
        {"kind": "eval", "time": 9.0, "step": 2},
    ]
    assert step_times([json.dumps(e) for e in events]) == [3.0, 5.0]
    said = ["Loading weights", '{"step": 1, "time": 3.5}', "{'loss': '8.5'}", "7", ""]
    assert step_times([*said, '{"step": 2, "time": 4.5}']) == [3.5, 4.5]


def test_the_warm_up_is_not_counted():
    ticks = [0.0, 10.0, 11.0, 12.0, 15.0, 16.0]
    assert step_seconds(ticks, warm_up=1) == 1.0
    assert step_seconds(ticks, warm_up=4) == 2.0  # between 3 and 1
    assert step_seconds(ticks, warm_up=5) == 1.0
    with pytest.raises(ValueError, match="more than 6 steps must be made, got 6"):
        step_seconds(ticks, warm_up=6)


def test_ratios_are_medians_of_rounds():
    rounds = ((2.0, 900.0, 2.2, 1000.0), (1.0, 1100.0, 3.0, 1000.0), (4.0, 950.0, 2.0, 1000.0))
    found = Comparison(
        job="sft",
        rounds=tuple((measured(OURS, a, b), measured(BARE, c, d)) for a, b, c, d in rounds),
    ).to_json()
    assert found["speed"] == pytest.approx(1.1)
    assert found["memory"] == pytest.approx(0.95)
    assert found[OURS]["step_s"] == 2.0
    assert found[BARE]["peak_mb"] == 1000.0
    assert json.loads(json.dumps(found)) == found
    assert training.verdicts({"speed": [found]}) == [
        "sft: speed of the bare script's 1.10, >= 0.95: holds",
        "sft: memory of the bare script's 0.95, <= 1.05: holds",
    ]
    slow = {**found, "speed": 0.9, "memory": 1.06}
    assert [line.rsplit(": ")[-1] for line in training.verdicts({"speed": [slow]})] == [
        "MISSED",
        "MISSED",
    ]


def test_memory_and_time_of_a_process_are_read_from_proc():
    folder = Path("/proc") / str(os.getpid())
    if not folder.is_dir():
        pytest.skip("this system has no /proc")
    assert 1_000 < peak_kb(folder / "status") < 1 << 30
    assert cpu_seconds(folder / "stat") > 0
    assert peak_kb(folder / "absent") == 0
    assert cpu_seconds(folder / "absent") == 0.0


@pytest.mark.local
def test_intervals():
    from benchmarks.training_tasks import paired, t_interval, wilson

    # Newcombe 1998, table I: 15 of 148.
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20)[0] == pytest.approx(0.0, abs=1e-12)
    # Student's quantile at four degrees of freedom is 2.776.
    low, high = t_interval([0.1, 0.2, 0.3, 0.4, 0.5])
    assert (high - low) / 2 == pytest.approx(2.776 * 0.1581 / 5**0.5, rel=1e-3)
    assert (low + high) / 2 == pytest.approx(0.3)
    low, high = paired([1, 1, 1, 0], [0, 1, 0, 0])
    assert (low + high) / 2 == pytest.approx(0.5)
    assert (high - low) / 2 == pytest.approx(1.96 * 0.57735 / 2, rel=1e-3)


@pytest.mark.local
def test_the_table_compares_with_the_prompt_of_the_same_seed():
    from benchmarks.training_tasks import WAYS, table

    right = {"as written": 1, "prompt only": 2, "weights only": 3, "both": 4}
    rows = [
        {"seed": s, "way": w, "score": 0.0, "rows": 5, "right": [1] * (n + s) + [0] * (5 - n - s)}
        for s in (0, 1)
        for w, n in right.items()
    ]
    found = {line["way"]: line for line in table(rows)}
    assert list(found) == list(WAYS)
    assert found["weights only"]["score"] == pytest.approx(0.7)
    assert found["weights only"]["gain"] == pytest.approx(0.2)
    assert found["weights only"]["gain_low"] == pytest.approx(0.2)  # the same with both seeds
    assert found["weights only"]["low"] < 0.6 < 0.8 < found["weights only"]["high"]
    assert found["prompt only"]["gain"] == 0.0
    one = {line["way"]: line for line in table([r for r in rows if r["seed"] == 0])}
    assert one["both"]["gain"] == pytest.approx(0.4)
    assert one["both"]["gain_low"] < 0.4 < one["both"]["gain_high"]
    shown = training.text({"tasks": {"table": table(rows)}})
    assert "2 seeds, 5 unseen rows each" in shown
    assert "+0.200 [+0.200, +0.200]" in shown


def test_tasks_are_left_out_with_a_word_where_the_rows_are_absent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("torch", reason="the model needs torch: pip install 'upturn[local]'")
    out = tmp_path / "training.json"
    absent = tmp_path / "absent.jsonl"
    training.main(["--quick", "--part", "tasks", "--data", str(absent), "--json", str(out)])
    assert f"tasks: left out, because {absent} is absent" in capsys.readouterr().err
    assert json.loads(out.read_text()) == {"quick": True, "tasks": None}


def test_help_says_what_is_measured():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training", "--help"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    assert "bare TRL script" in done.stdout
    for option in ("--quick", "--json", "--part", "--seeds", "--data"):
        assert option in done.stdout
