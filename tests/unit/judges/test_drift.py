"""Drift: a change is seen, and noise of its own raises no more alarms than it may."""

from __future__ import annotations

import numpy as np
import pytest

from upturn.judges.drift import Asked, drift


def rows(old: list[str], new: list[str], scores: float = 1.0) -> list[Asked]:
    return [
        Asked(
            old=tuple(o), new=tuple(n), old_scores=(scores,) * len(o), new_scores=(scores,) * len(n)
        )
        for o, n in zip(old, new, strict=True)
    ]


def test_p_values_by_hand():
    # Two equal old answers and another new one: the odd one is the new one in a third of the draws.
    found = drift(rows(["aa"] * 5 + ["bb"] * 3, ["c"] * 5 + ["b"] * 3), level=0.01)
    assert found.p_value == pytest.approx(2 / 3**5)
    assert (found.found, found.changed, found.rows, found.judged) == (True, 5, 8, True)
    # Four rows are not enough at this level, and nothing else would have been either.
    found = drift(rows(["aa"] * 4 + ["bb"] * 4, ["c"] * 4 + ["b"] * 4), level=0.01)
    assert found.p_value == pytest.approx(2 / 3**4)
    assert not found.found


def test_five_kept_answers_see_a_change_in_three_rows():
    found = drift(rows(["aaaaa"] * 8, ["c"] * 3 + ["a"] * 5), level=0.01)
    assert found.p_value == pytest.approx(2 / 6**3)
    assert found.found


def test_one_cached_answer_against_two_new_ones():
    found = drift(rows(["a"] * 8, ["cc"] * 8), level=0.01)
    assert found.p_value == pytest.approx(2 / 3**8)
    assert found.found


def test_answers_that_always_differ_are_judged_by_their_scores():
    def asked(new_score: float) -> list[Asked]:
        return [
            Asked(
                old=(f"a{i}", f"b{i}"),
                new=(f"c{i}",),
                old_scores=(1.0, 1.0),
                new_scores=(new_score,),
            )
            for i in range(8)
        ]

    worse = drift(asked(0.0), level=0.01)
    assert (worse.found, worse.changed) == (True, 8)
    same = drift(asked(1.0), level=0.01)
    assert (same.found, same.judged, same.p_value) == (False, True, 1.0)


def test_what_could_not_have_shown_a_change_is_not_judged():
    assert not drift(rows(["aa"] * 3, ["a"] * 3), level=0.01).judged
    assert drift(rows(["aa"] * 5, ["a"] * 5), level=0.01).judged
    # Every answer differs from every other, and so do the scores: no row can say anything.
    asked = [
        Asked(old=("a", "b"), new=("c",), old_scores=(0.0, 1.0), new_scores=(0.5,))
        for _ in range(8)
    ]
    assert not drift(asked, level=0.01).judged


def test_nothing_to_compare_is_not_judged():
    found = drift(rows([""] * 8, ["aa"] * 8), level=0.01)
    assert (found.rows, found.p_value, found.found, found.judged) == (0, 1.0, False, False)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (5, 1)])
def test_an_unchanged_model_raises_no_more_alarms_than_the_level(noise, shape):
    level, times = 0.05, 400
    rng, alarms = np.random.default_rng(int(noise * 10) + shape[0]), 0
    for _ in range(times):
        asked = []
        for _ in range(8):
            own = noise * rng.random()
            said = ["ab"[int(rng.random() < own)] for _ in range(sum(shape))]
            scores = tuple(float(s == "a") for s in said)
            asked.append(
                Asked(
                    old=tuple(said[: shape[0]]),
                    new=tuple(said[shape[0] :]),
                    old_scores=scores[: shape[0]],
                    new_scores=scores[shape[0] :],
                )
            )
        alarms += drift(asked, level=level).found
    assert alarms / times <= level + 3 * (level * (1 - level) / times) ** 0.5


@pytest.mark.parametrize(("kept", "new", "least"), [(2, 1, 0.75), (5, 1, 0.9), (1, 2, 0.75)])
def test_a_model_that_changed_most_answers_is_mostly_found(kept, new, least):
    rng, found = np.random.default_rng(kept), 0
    for _ in range(100):
        moved = rng.random(8) < 0.8
        asked = rows(["a" * kept] * 8, [("c" if m else "a") * new for m in moved])
        found += drift(asked, level=0.01).found
    assert found / 100 >= least
