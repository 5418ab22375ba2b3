"""The benchmark's tables: paired by seed, resumable, and honest about too few seeds."""

import pytest

pytest.importorskip("torch")

from benchmarks.live import Finished, draw, question, ratios, table, text
from benchmarks.live_runs import Sizes


def row(optimizer, seed, final, *, calls=100, reported=None, task="codes5"):
    return {
        "task": task,
        "seed": seed,
        "optimizer": optimizer,
        "calls": calls,
        "final": final,
        "start": 0.5,
        "reported": reported,
        "test_rows": 90,
        "stopped": "",
        "seconds": 1.0,
    }


RUNS = [
    row("upturn", 0, 0.6, calls=50, reported=0.6),
    row("upturn", 1, 0.8, calls=70, reported=0.7),
    row("mipro-light", 0, 0.5, calls=100, reported=0.7),
    row("mipro-light", 1, 0.4, calls=140, reported=0.8),
    row("gepa-light", 0, 0.6, calls=200),
]


def test_differences_are_paired_by_seed_and_optimism_is_the_claim_minus_the_score():
    cells = {c["optimizer"]: c for c in table(RUNS)}
    ours, mipro, gepa = (cells[n] for n in ("upturn", "mipro-light", "gepa-light"))
    assert ours["calls"] == 60
    assert ours["final"] == pytest.approx(0.7)
    assert ours["final_se"] == pytest.approx(0.1)
    assert ours["optimism"] == pytest.approx(-0.05)
    assert mipro["minus_upturn"] == pytest.approx(-0.25)
    assert mipro["minus_upturn_se"] == pytest.approx(0.15)
    assert mipro["optimism"] == pytest.approx(0.3)
    assert mipro["below_start"] == 0.5
    assert gepa["minus_upturn"] == pytest.approx(0.0)
    assert gepa["minus_upturn_se"] is None
    assert gepa["optimism"] is None


def test_ratios_compare_calls_and_scores_over_the_tasks():
    other = [row("upturn", 0, 0.9, calls=20, task="b"), row("mipro-light", 0, 0.8, task="b")]
    found = ratios(table([*RUNS, *other]))
    assert found["mipro-light"]["calls"] == pytest.approx((60 + 20) / (120 + 100))
    assert found["mipro-light"]["gain"] == pytest.approx((0.25 + 0.1) / 2)
    assert found["mipro-light"]["tasks"] == 2
    assert found["gepa-light"]["tasks"] == 1


def test_the_text_has_a_line_a_cell_and_a_line_a_ratio():
    cells = table(RUNS)
    lines = text(cells, ratios(cells)).splitlines()
    assert len(lines) == 1 + 3 + 2
    assert "0.450 ±0.050" in lines[2]
    assert "-0.250 ±0.150" in lines[2]
    assert lines[4] == "upturn / mipro-light: 0.50 of the calls, +0.250 final score, 1 tasks"


def test_finished_runs_are_not_run_again_unless_the_question_changed(tmp_path):
    path = tmp_path / "work" / "runs.jsonl"
    done = Finished(path, {"upturn": "q1"})
    assert done.get("codes5", 0, "upturn") is None
    added = done.add(RUNS[0])
    assert added == {**RUNS[0], "question": "q1"}
    assert Finished(path, {"upturn": "q1"}).get("codes5", 0, "upturn") == added
    assert Finished(path, {"upturn": "q2"}).get("codes5", 0, "upturn") is None
    assert Finished(path, {"mipro-light": "q1"}).get("codes5", 0, "upturn") is None


def test_our_own_budget_decides_our_runs_only():
    small, large = Sizes(evaluations=100), Sizes(evaluations=200)
    asked = {
        (n, s): question(n, s, "m@1") for n in ("upturn", "gepa-light") for s in (small, large)
    }
    assert asked["gepa-light", small] == asked["gepa-light", large]
    assert len(set(asked.values())) == 3


def test_the_figure_is_a_picture(tmp_path):
    draw(table(RUNS), tmp_path / "live.png")
    assert (tmp_path / "live.png").read_bytes().startswith(b"\x89PNG")
