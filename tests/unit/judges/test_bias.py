"""What sways a judge: found where it is planted, and not found where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from upturn.judges import Judged, biases
from upturn.judges.bias import LEVEL, consistency, length, position

SWAP = {"first": "second", "second": "first"}


def pairs(rng, n: int, *, noise: float, first: float = 0.5) -> list[Judged]:
    """A pairwise judge that, on a share of the pairs, does not read: then it says the first place
    with chance ``first`` in either order."""
    rows = []
    for i in range(n):
        truth = "first" if rng.random() < 0.5 else "second"
        said, swapped = truth, SWAP[truth]
        if rng.random() < noise:
            said, swapped = ("first" if rng.random() < first else "second" for _ in range(2))
        rows.append(Judged(id=str(i), judge=said, human=truth, group=str(i), swapped=swapped))
    return rows


def scored(rng, n: int, *, pull: float) -> list[Judged]:
    """A judge whose score is people's, noise, and ``pull`` times the length; people, too, like
    longer answers, which is no bias of the judge."""
    rows = []
    for i in range(n):
        words = rng.normal()
        human = float(rng.random() < 1 / (1 + np.exp(-words)))
        judge = float(np.clip(0.5 * human + 0.25 + 0.1 * rng.normal() + pull * words, 0, 1))
        rows.append(Judged(id=str(i), judge=judge, human=human, group=str(i), length=words))
    return rows


def test_a_preference_for_the_first_place_is_found_and_named():
    found = position(pairs(np.random.default_rng(0), 200, noise=0.3, first=0.9))
    assert found is not None
    assert found.found
    assert "prefers the first place" in found.note
    assert found.low < found.share < found.high


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_a_judge_that_only_tosses_coins_prefers_no_place(noise):
    rng, alarms = np.random.default_rng(1), 0
    for _ in range(300):
        found = position(pairs(rng, 80, noise=noise))
        assert found is not None
        alarms += found.found
    assert alarms <= 300 * LEVEL + 3 * (300 * LEVEL) ** 0.5


def test_a_tie_that_became_a_win_counts_in_the_share_and_prefers_nothing():
    rows = [
        Judged(id=str(i), judge="tie", human="tie", group=str(i), swapped="first")
        for i in range(20)
    ]
    found = position(rows)
    assert found is not None
    assert (found.share, found.p_value, found.found) == (1.0, 1.0, False)


def test_length_is_found_at_equal_human_verdicts_only():
    rng = np.random.default_rng(2)
    swayed = length(scored(rng, 300, pull=0.06))
    assert swayed is not None
    assert swayed.found
    assert swayed.share > 0
    assert "prefers longer" in swayed.note
    other_way = length(scored(rng, 300, pull=-0.06))
    assert other_way is not None
    assert other_way.found
    assert "prefers shorter" in other_way.note


def test_a_judge_that_follows_people_who_like_length_is_not_accused():
    rng, alarms, times = np.random.default_rng(3), 0, 40
    for seed in range(times):
        rows = scored(rng, 120, pull=0.0)
        plain = np.corrcoef([r.judge for r in rows], [r.length for r in rows])[0, 1]
        assert plain > 0.1  # what a check without strata would have held against it
        found = length(rows, seed=seed)
        assert found is not None
        alarms += found.found
    assert alarms <= 3


def test_a_fickle_judge_is_told_and_a_steady_one_is_not():
    def rows(changed: int) -> list[Judged]:
        return [
            Judged(id=str(i), judge=1.0, human=1.0, group=str(i), again=float(i >= changed))
            for i in range(60)
        ]

    found, steady = consistency(rows(15)), consistency(rows(1))
    assert found is not None
    assert steady is not None
    assert (found.share, found.found, steady.found) == (0.25, True, False)
    assert "changed 15 of 60 verdicts" in found.note


def test_checks_need_rows_that_allow_them():
    plain = [Judged(id=str(i), judge=1.0, human=1.0, group=str(i)) for i in range(50)]
    assert biases(plain) == ()
    few = pairs(np.random.default_rng(0), 5, noise=1.0)
    assert biases(few) == ()
