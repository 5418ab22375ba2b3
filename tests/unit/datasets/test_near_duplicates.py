"""Near-duplicate clusters: every pair is found, and none that is not there."""

from __future__ import annotations

import random
import zlib
from itertools import combinations

import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from upturn.datasets import near_duplicate_clusters
from upturn.datasets.near_duplicates import banding, normalise, shingles, signatures
from upturn.datasets.shingles import shingled
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


def test_bands_miss_less_than_one_pair_in_a_million_at_the_threshold():
    for percent in range(1, 100):
        bands, rows = banding(percent / 100)
        missed = (1 - (percent / 100) ** rows) ** bands
        assert 0 < missed < 1e-6, percent
        assert rows == 1 or bands * rows <= 330, percent
    assert (banding(0.8), banding(0.5), banding(1.0)) == ((54, 6), (57, 2), (1, 1))


def test_values_are_those_of_datasketch():
    rng = random.Random(3)
    texts = ["", "hi", "größe 12 łódź", "日本語のテキスト", "a" * 50]
    texts += ["".join(rng.choices("abcdefgh ", k=rng.randint(0, 300))) for _ in range(60)]
    clean = [normalise(t) for t in texts]
    sketch = MinHash(num_perm=24, seed=5, hashfunc=zlib.crc32)
    found = signatures(shingled(clean, 4), sketch.permutations)
    for text, values in zip(texts, found, strict=True):
        one = MinHash(num_perm=24, seed=5, hashfunc=zlib.crc32)
        one.update_batch([s.encode() for s in shingles(text)])
        assert values.tolist() == one.hashvalues.tolist(), text


def test_sizes_are_those_of_the_sets():
    rng = random.Random(4)
    texts = ["".join(rng.choices("ab ", k=rng.randint(0, 2000))) for _ in range(50)]
    for size in (1, 3, 5):
        made = shingled([normalise(t) for t in texts], size)
        assert made.sizes.tolist() == [len(shingles(t, size)) for t in texts]


def altered(text: str, edits: int, rng: random.Random) -> str:
    letters = list(text)
    for place in rng.sample(range(len(letters)), edits):
        letters[place] = rng.choice("abcdefghijklmnop")
    return "".join(letters)


@pytest.mark.parametrize("threshold", [0.6, 0.8, 0.9])
def test_pairs_on_both_sides_of_the_threshold_are_told_apart_exactly(threshold: float):
    rng = random.Random(int(threshold * 10))
    bases = ["".join(rng.choices("abcdefghijklmnop ", k=120)) for _ in range(70)]
    texts = [altered(b, rng.choice((0, 1, 2, 3, 4, 6, 9, 12)), rng) for b in bases * 6]
    expected = by_brute_force(texts, threshold, 4)
    sizes = {len(c) for c in expected}
    assert len(sizes) > 1, "the edits must straddle the threshold"
    assert near_duplicate_clusters(texts, threshold=threshold) == expected


def test_any_order_of_texts_gives_the_same_clusters():
    rng = random.Random(7)
    frames = [" ".join(rng.choices(["alpha", "beta", "gamma", "delta"], k=9)) for _ in range(12)]
    texts = [f"{rng.choice(frames)} {rng.randbytes(3).hex()}" for _ in range(300)]
    clusters = {frozenset(texts[i] for i in c) for c in near_duplicate_clusters(texts)}
    assert len(clusters) > 3
    for seed in range(5):
        shuffled = list(texts)
        random.Random(seed).shuffle(shuffled)
        found = near_duplicate_clusters(shuffled)
        assert {frozenset(shuffled[i] for i in c) for c in found} == clusters


def test_long_texts_and_short_ones_stand_side_by_side():
    rng = random.Random(9)
    long = "".join(rng.choices("abcdefghij ", k=40_000))
    texts = ["short one", long, altered(long, 400, rng), "Short one.", altered(long, 9000, rng)]
    assert near_duplicate_clusters(texts) == [[0, 3], [1, 2]]
