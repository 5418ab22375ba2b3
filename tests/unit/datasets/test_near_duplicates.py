"""Near-duplicate clusters: every pair is found, and none that is not there."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upturn.datasets import near_duplicate_clusters
from upturn.datasets.near_duplicates import normalise, shingles
from upturn.datasets.union import UnionFind
from upturn.errors import ConfigError


def by_brute_force(texts: list[str], threshold: float, size: int) -> list[list[int]]:
    sets = [shingles(t, size) for t in texts]
    union = UnionFind(len(texts))
    for i, j in combinations(range(len(texts)), 2):
        if len(sets[i] & sets[j]) >= threshold * len(sets[i] | sets[j]) - 1e-9:
            union.union(i, j)
    roots = union.roots()
    clusters = [[i for i, r in enumerate(roots) if r == root] for root in sorted(set(roots))]
    return [c for c in clusters if len(c) > 1]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text(alphabet="abc ", max_size=14), max_size=14),
    st.sampled_from([0.3, 0.5, 0.6, 0.8, 1.0]),
    st.integers(1, 4),
)
def test_finds_exactly_what_comparing_all_pairs_finds(
    texts: list[str], threshold: float, size: int
):
    found = near_duplicate_clusters(texts, threshold=threshold, size=size)
    assert found == by_brute_force(texts, threshold, size)


def test_finds_planted_duplicates_among_many_messages():
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(3, 8))) for _ in range(400)]
    texts = [" ".join(rng.choices(words, k=12)) for _ in range(800)]
    copies = [f"{t.upper()}!" if i % 2 else f"{t[:20]}x{t[21:]}" for i, t in enumerate(texts[:60])]
    clusters = near_duplicate_clusters([*texts, *copies])
    assert clusters == [[i, 800 + i] for i in range(60)]


def test_case_marks_blanks_and_numbers_do_not_count():
    assert normalise("  Where is ORDER #4711?!\n") == "where is order 0"
    texts = ["Where is my order 4711?", "where is my ORDER  99, ", "Where is my parcel 4711?"]
    assert near_duplicate_clusters(texts) == [[0, 1]]


def test_a_typing_error_in_a_short_message_is_a_near_duplicate():
    texts = ["my invoice shows the wrong amount of tax", "my invoice shows the wrogn amount of tax"]
    assert near_duplicate_clusters(texts, threshold=0.75) == [[0, 1]]
    texts[1] = "my invoice shows the wrong amount of ta"
    assert near_duplicate_clusters(texts) == [[0, 1]]


def test_empty_and_very_short_texts_are_equal_or_apart():
    assert near_duplicate_clusters(["", "hi", "!", "Hi", "ho"]) == [[0, 2], [1, 3]]
    assert near_duplicate_clusters([]) == []


def test_a_chain_is_one_cluster():
    texts = ["abcdefghij", "abcdefghijkl", "abcdefghijklmn"]
    assert near_duplicate_clusters(texts, threshold=0.75) == [[0, 1, 2]]
    assert near_duplicate_clusters([texts[0], texts[2]], threshold=0.75) == []


def test_many_equal_texts_cost_no_pairs():
    assert near_duplicate_clusters(["hello there"] * 20_000) == [list(range(20_000))]


@pytest.mark.parametrize(("threshold", "size"), [(0, 4), (1.1, 4), (0.8, 0)])
def test_settings_out_of_range_are_refused(threshold: float, size: int):
    with pytest.raises(ConfigError, match=rf"got {threshold}, {size}"):
        near_duplicate_clusters([], threshold=threshold, size=size)
