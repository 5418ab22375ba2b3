"""Length bias: the measure finds what was planted, finds nothing where nothing is, and covers."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from upturn.errors import DataError
from upturn.finetune.length import length_change, length_effect, spearman


def planted(rng: np.random.Generator, pairs: int, pull: float) -> dict[str, Any]:
    """Margins that are skill plus ``pull`` a token of difference."""
    chosen, rejected = rng.integers(5, 60, pairs), rng.integers(5, 60, pairs)
    margins = 0.5 + pull * (chosen - rejected) + rng.normal(0, 1, pairs)
    return length_effect(margins.tolist(), chosen.tolist(), rejected.tolist())


@pytest.mark.parametrize(("pull", "bias"), [(0.05, "longer"), (-0.05, "shorter")])
def test_a_planted_bias_is_found(pull: float, bias: str) -> None:
    effect = planted(np.random.default_rng(0), 300, pull)
    assert effect["bias"] == bias
    assert effect["gap"] * pull > 0
    low, high = effect["gap_interval"]
    assert not low <= 0 <= high
    rates = [effect["thirds"][name]["win_rate"] for name in ("shorter", "middle", "longer")]
    assert rates == sorted(rates, reverse=pull < 0)


def test_without_a_bias_the_intervals_cover_zero_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    effects = [planted(rng, 60, 0.0) for _ in range(600)]
    found = np.mean([e["bias"] != "none shown" for e in effects])
    gaps = np.mean([not e["gap_interval"][0] <= 0 <= e["gap_interval"][1] for e in effects])
    # 5 % each; 600 worlds have a standard error of .009.
    assert 0.02 < found < 0.085
    assert 0.015 < gaps < 0.085


def test_the_figures_of_a_small_case() -> None:
    effect: Any = length_effect([1, 2, -1, 3, 0.5, 0], [5, 6, 7, 8, 9, 10], [4, 4, 4, 4, 4, 4])
    assert (effect["pairs"], effect["left_out"]) == (6, 0)
    assert effect["win_rate"] == pytest.approx(4 / 6)
    assert effect["chosen_longer"] == 1.0
    assert effect["mean_difference"] == pytest.approx(3.5)
    assert [t["pairs"] for t in effect["thirds"].values()] == [2, 2, 2]
    assert [t["win_rate"] for t in effect["thirds"].values()] == [1.0, 0.5, 0.5]
    # Wilson's interval for 2 of 2.
    assert effect["thirds"]["shorter"]["interval"] == pytest.approx([0.34238, 1.0], abs=1e-4)
    assert effect["gap"] == pytest.approx(-0.5)


def test_equal_differences_stay_in_one_third() -> None:
    effect: Any = length_effect([1.0] * 9, [5] * 9, [5] * 9)
    assert [t["pairs"] for t in effect["thirds"].values()] == [9, 0, 0]
    assert effect["thirds"]["longer"] == {
        "pairs": 0,
        "mean_difference": None,
        "win_rate": None,
        "interval": None,
    }
    assert (effect["chosen_longer"], effect["gap"], effect["spearman"]) == (0.5, None, None)
    assert effect["bias"] == "none shown"


def test_a_margin_that_is_no_number_is_left_out_and_counted() -> None:
    effect = length_effect([1.0, math.nan, math.inf, 2.0], [1, 2, 3, 4], [2, 2, 2, 2])
    assert (effect["pairs"], effect["left_out"], effect["win_rate"]) == (2, 2, 1.0)
    assert json.loads(json.dumps(effect, allow_nan=False)) == effect


def test_no_pairs_are_no_effect() -> None:
    effect = length_effect([], [], [])
    assert (effect["pairs"], effect["win_rate"], effect["bias"]) == (0, None, "none shown")
    json.dumps(effect, allow_nan=False)


def test_other_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="one value a pair, got 2, 1 and 2"):
        length_effect([1, 2], [1], [1, 2])
    with pytest.raises(DataError, match="same rows, got 1 and 2"):
        length_change([1], [1, 2])


def test_rank_correlation_shares_ranks_of_ties() -> None:
    a, b = np.array([1.0, 2, 2, 3, 4]), np.array([2.0, 1, 3, 3, 5])
    rho, interval = spearman(a, b)
    # Ranks 1 2.5 2.5 4 5 and 2 1 3.5 3.5 5.
    assert rho == pytest.approx(float(np.corrcoef([1, 2.5, 2.5, 4, 5], [2, 1, 3.5, 3.5, 5])[0, 1]))
    assert rho is not None
    assert interval is not None
    assert interval[0] < rho < interval[1]
    assert spearman(a, a)[0] == pytest.approx(1.0)
    assert spearman(a[:3], b[:3]) == (None, None)


@pytest.mark.parametrize("rows", [3, 6, 40])
def test_the_paired_interval_covers_as_often_as_it_says(rows: int) -> None:
    rng = np.random.default_rng(rows)
    missed = 0
    for _ in range(1000):
        before = rng.normal(30, 10, rows)
        # Rows differ much more than the change does: unpaired it would be too wide.
        change: Any = length_change((before).tolist(), (before + rng.normal(2, 3, rows)).tolist())
        missed += not change["interval"][0] <= 2 <= change["interval"][1]
    assert 0.03 < missed / 1000 < 0.075


def test_the_change_of_a_small_case() -> None:
    change: Any = length_change([10, 20, 30], [8, 16, 27])
    assert (change["rows"], change["before"], change["after"]) == (3, 20.0, 17.0)
    assert change["change"] == pytest.approx(-3.0)
    # t(2) = 4.3027, standard error 1 / sqrt(3).
    assert change["interval"] == pytest.approx([-5.4842, -0.5158], abs=1e-3)
    assert length_change([3], [4])["interval"] is None
    assert length_change([], [])["change"] is None
