"""Rows to decide: against the published formula, and against simulated paired tests."""

from __future__ import annotations

import math

import numpy as np
import pytest

from upturn.datasets import check_decidable, rows_at_least, rows_to_decide
from upturn.errors import ConfigError, DataError


def test_the_formula_by_hand():
    # z(.975) = 1.959964, z(.8) = 0.841621, psi = .3, d = .1
    root = 1.959964 * math.sqrt(0.3) + 0.841621 * math.sqrt(0.3 - 0.01)
    assert rows_to_decide(0.1, 0.025) == math.ceil((root / 0.1) ** 2) == 234


def test_more_gain_needs_fewer_rows_and_less_error_more():
    assert rows_to_decide(0.05, 0.05) > 3 * rows_to_decide(0.1, 0.05)
    assert rows_to_decide(0.1, 0.01) > rows_to_decide(0.1, 0.05)
    assert rows_to_decide(0.1, 0.05, power=0.9) > rows_to_decide(0.1, 0.05)
    assert rows_to_decide(0.1, 0.05, discordance=0.2) < rows_to_decide(0.1, 0.05)


def binomial_tail(wins: int, n: int) -> float:
    return sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n


def test_the_stated_rows_give_the_stated_power():
    alpha, gain, psi = 0.05, 0.1, 0.3
    n = rows_to_decide(gain, alpha, discordance=psi)
    rng = np.random.default_rng(0)
    won, lost, _ = rng.multinomial(n, [(psi + gain) / 2, (psi - gain) / 2, 1 - psi], size=1500).T
    shown = np.mean(
        [binomial_tail(int(w), int(w + x)) <= alpha for w, x in zip(won, lost, strict=True)]
    )
    # The exact test keeps less than alpha, so it shows a little less than the normal formula.
    assert 0.72 <= shown <= 0.84


def test_the_least_rows_are_those_where_every_difference_is_won():
    n = rows_at_least(0.05, 0.025)
    assert n == 120
    assert binomial_tail(6, 6) <= 0.025 < binomial_tail(5, 5)
    assert rows_at_least(0.1, 0.5) == 10


def test_a_hopeless_holdout_is_refused_with_the_rows_it_takes():
    about = rows_to_decide(0.05, 0.025)
    with pytest.raises(DataError) as caught:
        check_decidable(41, 0.05, 0.025, where="configs/x.yaml")
    assert str(caught.value).startswith(
        "configs/x.yaml: a holdout of 41 rows can never show a gain of 0.05 at alpha 0.025: that "
        f"takes at least 120 rows, and about {about} to show it in 80% of cases\n  next: collect"
    )
    assert caught.value.exit_code == 2


def test_a_small_but_possible_holdout_says_how_many_it_takes():
    assert check_decidable(120, 0.05, 0.025) == rows_to_decide(0.05, 0.025)
    # With so little power asked for, the best case sets the number.
    assert check_decidable(120, 0.05, 0.025, power=0.5, discordance=0.05) == 120


@pytest.mark.parametrize(
    "arguments", [(0.0, 0.05), (1.0, 0.05), (0.1, 0.0), (0.1, 0.5), (-0.1, 0.05)]
)
def test_arguments_out_of_range_are_refused(arguments: tuple[float, float]):
    with pytest.raises(ConfigError, match="must hold, got"):
        rows_to_decide(*arguments)
