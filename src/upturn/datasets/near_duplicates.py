"""Near-duplicate clusters: MinHash-LSH proposes pairs, the exact Jaccard similarity decides.

Two texts whose shingle sets have Jaccard similarity J agree in one MinHash value with probability
J (Broder, "On the resemblance and containment of documents", 1997). ``bands`` bands of ``rows``
values each propose a pair that agrees in all values of some band, and so miss it with probability

    (1 - J ** rows) ** bands

:func:`banding` chooses both so that this is below one in ten million for a pair at the threshold;
above the threshold it is less still. A proposed pair is joined only where its exact similarity
reaches the threshold, so no cluster holds a pair for chance's sake. Values are datasketch's, under
a fixed seed, and depend on the texts alone: the order of the texts leaves no trace. Its index of
them is not used: it keeps each key of each text as an object, 19 kB a text where sorting the keys
band by band takes 2 kB.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

from upturn.datasets.likeness import Likeness
from upturn.datasets.shingles import SHINGLE, Shingled, normalise, shingled, shingles
from upturn.datasets.union import UnionFind
from upturn.errors import ConfigError

__all__ = ["banding", "near_duplicate_clusters", "normalise", "shingles", "signatures"]

MISSED = 1e-7  # share of pairs at the threshold that may be missed
_VALUES = 330  # MinHash values of a text, at most: what a quarter of a million texts can afford
_SEED = 1
_PAIRS = 1 << 16  # compared at once
_Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def banding(threshold: float) -> tuple[int, int]:
    """Returns (bands, rows): the most rows a band that 330 values allow at the stated misses.

    ``bands = ceil(log(1e-7) / log(1 - threshold ** rows))``; more rows propose fewer pairs in vain.
    """
    if threshold >= 1:
        return 1, 1  # equal sets agree in every value
    best = (0, 0)
    for rows in range(1, _VALUES):
        bands = math.ceil(math.log(MISSED) / math.log1p(-(threshold**rows)))
        if bands * rows > _VALUES and best != (0, 0):
            break
        best = (bands, rows)
    return best


def near_duplicate_clusters(
    texts: Sequence[str], *, threshold: float = 0.8, size: int = SHINGLE
) -> list[list[int]]:
    """Returns the clusters of two and more texts, as sorted positions, sorted by the first.

    A cluster is a connected component of the graph of pairs with Jaccard >= threshold: members may
    be less alike than that when a chain of others joins them. One pair in ten million at the
    threshold may be missing from the graph.

    Args:
        texts: any text; compared as :func:`normalise` leaves it.
        threshold: in (0, 1].
        size: characters of a shingle.

    Raises:
        ConfigError: threshold or size is out of range.
    """
    if not 0 < threshold <= 1 or size < 1:
        raise ConfigError(
            f"near-duplicate threshold must be in (0, 1] and size >= 1, got {threshold}, {size}"
        )
    members: dict[str, list[int]] = {}
    for position, text in enumerate(texts):
        members.setdefault(normalise(text), []).append(position)
    # Equal texts are joined first: a thousand times "hello" would otherwise be a million pairs.
    distinct = list(members.values())
    merged: dict[int, list[int]] = {}
    for i, root in enumerate(_components(list(members), threshold, size)):
        merged.setdefault(root, []).extend(distinct[i])
    return sorted(sorted(cluster) for cluster in merged.values() if len(cluster) > 1)


def signatures(sets: Shingled, permutations: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Returns the MinHash values of each text as ``MinHash.update_batch`` gives them, a row each.

    Args:
        sets: the shingles.
        permutations: factors and summands, as ``MinHash.permutations`` holds them.
    """
    permuted_PS = _premixed(sets.hashes) * permutations[0][:, None] + permutations[1][:, None]
    values_TP = np.empty((len(sets.sizes), len(permuted_PS)), np.uint32)
    for block in sets.blocks:
        # Numpy would turn the numbers into its own kind of index once a permutation.
        places = block.numbers.astype(np.intp)
        taken = np.empty(places.shape, np.uint32)
        for i, permuted_S in enumerate(permuted_PS):
            # The mode only spares the check of every number: all are in range.
            np.take(permuted_S, places, out=taken, mode="clip")
            values_TP[block.texts, i] = taken.min(axis=0)
    return values_TP


def _premixed(x: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Returns what datasketch permutes: hashes after the finalizer of MurmurHash3."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def _components(texts: Sequence[str], threshold: float, size: int) -> list[int]:
    """Returns the root of each text's component."""
    union = UnionFind(len(texts))
    if len(texts) < 2:
        return union.roots()
    bands, rows = banding(threshold)
    sets = shingled(texts, size)
    likeness = Likeness(sets, threshold)
    permutations = np.asarray(MinHash(num_perm=bands * rows, seed=_SEED).permutations, np.uint32)
    labels = np.arange(len(texts))
    for band in range(bands):
        values = signatures(sets, permutations[:, band * rows : (band + 1) * rows])
        keys = values.astype(np.uint64) @ _weights(rows)
        met = _meeting(keys)
        labels = _join(union, labels, likeness, _to_first(met, keys[met]))
        labels = _join(union, labels, likeness, _across(met, keys[met], labels[met]))
    return union.roots()


def _weights(rows: int) -> NDArray[np.uint64]:
    """Returns odd numbers that turn the values of a band into one: equal for equal values."""
    rng = np.random.default_rng(_SEED)
    return rng.integers(0, 1 << 63, rows, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def _meeting(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Returns the texts that share their key with another, in the order of keys."""
    order = np.argsort(keys)
    changes = keys[order][1:] != keys[order][:-1]
    return order[_stops(changes) - _starts(changes) > 1]


def _starts(changes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Returns where the run of each of n things begins; ``changes`` are the n - 1 between them."""
    begins = np.concatenate([[0], np.flatnonzero(changes) + 1])
    return np.repeat(begins, np.diff(np.append(begins, len(changes) + 1)))


def _stops(changes: NDArray[np.bool_]) -> NDArray[np.int64]:
    ends = np.append(np.flatnonzero(changes) + 1, len(changes) + 1)
    return np.repeat(ends, np.diff(ends, prepend=0))


def _to_first(texts: NDArray[np.int64], keys: NDArray[np.uint64]) -> Iterator[_Pairs]:
    """Yields each text with the first of its key: joins most of a large cluster at once."""
    if len(texts):
        first = texts[_starts(keys[1:] != keys[:-1])]
        for at in range(0, len(texts), _PAIRS):
            yield first[at : at + _PAIRS], texts[at : at + _PAIRS]


def _across(
    texts: NDArray[np.int64], keys: NDArray[np.uint64], labels: NDArray[np.int64]
) -> Iterator[_Pairs]:
    """Yields all pairs that share a key and differ in their label."""
    if not len(texts):
        return
    by_label = np.lexsort((labels, keys))
    order, labels = texts[by_label], labels[by_label]
    changes = keys[1:] != keys[:-1]  # sorting by labels within keys leaves the keys as they are
    stops = _stops(changes)
    within = _stops(changes | (labels[1:] != labels[:-1]))
    left = np.arange(len(order))
    right = within
    while len(left):
        more = right < stops[left]
        left, right = left[more], right[more]
        for at in range(0, len(left), _PAIRS):
            yield order[left[at : at + _PAIRS]], order[right[at : at + _PAIRS]]
        right = right + 1


def _join(
    union: UnionFind, labels: NDArray[np.int64], likeness: Likeness, proposed: Iterator[_Pairs]
) -> NDArray[np.int64]:
    """Joins the pairs that are alike, and returns the labels by which components are known."""
    for i, j in proposed:
        apart = labels[i] != labels[j]
        pairs = likeness.alike(i[apart], j[apart])
        touched = {union.find(text) for pair in pairs for text in pair}
        joined = [union.union(a, b) for a, b in pairs]
        if any(joined):
            renamed = np.arange(len(labels))
            for root in touched:
                renamed[root] = union.find(root)
            labels = renamed[labels]
    return labels
