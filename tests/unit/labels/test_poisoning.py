"""Hostile voters cost little; naive majority is beside it in benchmarks/poisoning.py."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.poisoning import ATTACKS, REALISTIC, Outcome, run

SEEDS = range(2)
REQUESTS = 1200


@pytest.fixture(scope="module")
def clean() -> Outcome:
    return mean("random", 0.0)


def mean(attack: str, share: float) -> Outcome:
    """Over 2 worlds of 1,200 requests: the standard error of a share is about 0.4 points."""
    runs = [run(REALISTIC, attack, share, requests=REQUESTS, seed=s) for s in SEEDS]
    names = Outcome.__annotations__
    return Outcome(**{n: float(np.mean([getattr(r, n) for r in runs])) for n in names})


def test_labels_are_good_where_nobody_is_hostile(clean: Outcome):
    assert clean.right > 0.96
    assert clean.right / (1 - clean.withheld) > 0.985


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(("share", "cost"), [(0.01, 0.01), (0.05, 0.02), (0.2, 0.05)])
def test_hostile_voters_cost_little(clean: Outcome, attack: str, share: float, cost: float):
    got = mean(attack, share)
    assert clean.right - got.right <= cost
    # Of the labels that are given, fewer are wrong than a majority would get wrong.
    assert got.right / (1 - got.withheld) > got.majority


@pytest.mark.parametrize("attack", ["targeted", "coordinated"])
def test_the_majority_loses_twice_as_much(clean: Outcome, attack: str):
    got = mean(attack, 0.2)
    assert clean.majority - got.majority > 2 * (clean.right - got.right)
