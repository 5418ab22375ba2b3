"""Similarity and cover: what stands for what."""

import numpy as np

from upturn.propose.similarity import cover, similarity


def test_the_same_text_is_one_and_strangers_are_zero():
    found = similarity(["refund my order"], ["refund my order", "password reset link"])
    assert found[0, 0] == np.float64(1.0) or abs(found[0, 0] - 1) < 1e-9
    assert found[0, 1] == 0.0


def test_nothing_resembles_an_empty_side():
    assert similarity([], ["a"]).shape == (0, 1)
    assert similarity(["?!"], ["..."]).tolist() == [[0.0]]


def test_cover_takes_one_of_each_cluster_before_a_second():
    texts = [
        "refund money back",
        "refund money",
        "refund money please",
        "login password",
        "password",
    ]
    picks = cover(similarity(texts, texts), 2)
    assert {texts[i].split()[0] in ("refund",) for i in picks} == {True, False}


def test_cover_reaches_the_guaranteed_share_of_the_best():
    rng = np.random.default_rng(3)
    from itertools import combinations

    for _ in range(20):
        similar = rng.random((8, 6))
        best = max(similar[:, list(c)].max(axis=1).sum() for c in combinations(range(6), 3))
        greedy = similar[:, cover(similar, 3)].max(axis=1).sum()
        assert greedy >= (1 - 1 / np.e) * best
