"""Exact near-duplicate clusters: every pair with Jaccard similarity >= threshold is found.

Two texts that share J >= t of their shingles must share one among their rarest ones: with all
shingles ordered from rare to frequent, the first ``n - ceil(t*n) + 1`` of each text overlap (prefix
filtering; Bayardo, Ma, Srikant, "Scaling up all pairs similarity search", WWW 2007), and their
sizes differ by at most a factor t. An inverted index over prefixes thus proposes every pair there
is, and few more; each is then verified on the whole shingle sets. Nothing is random.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from upturn.datasets.union import UnionFind
from upturn.errors import ConfigError

SHINGLE = 4  # characters: one typing error in a message of 45 keeps J >= 0.8
_EPS = 1e-9  # 0.8 * 5 must count as 4, whatever the floats say


def normalise(text: str) -> str:
    """Returns a text without what near-duplicates differ in: case, marks, blanks, the digits."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"\d+", "0", re.sub(r"[^\w\s]", " ", folded)).split())


def shingles(text: str, size: int = SHINGLE) -> frozenset[str]:
    """Returns the set of character ``size``-grams of a normalised text (all of a short one)."""
    clean = normalise(text)
    return frozenset(clean[i : i + size] for i in range(max(1, len(clean) - size + 1)))


def near_duplicate_clusters(
    texts: Sequence[str], *, threshold: float = 0.8, size: int = SHINGLE
) -> list[list[int]]:
    """Returns the clusters of two and more texts, as sorted positions, sorted by the first.

    A cluster is a connected component of the graph of all pairs with Jaccard >= threshold: members
    may be less alike than that when a chain of others joins them.

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
    members: dict[frozenset[str], list[int]] = {}
    for position, text in enumerate(texts):
        members.setdefault(shingles(text, size), []).append(position)
    # Equal sets are joined first: a thousand times "hello" would otherwise be a million pairs.
    distinct = list(members)
    merged: dict[int, list[int]] = {}
    for i, root in enumerate(_components(distinct, threshold)):
        merged.setdefault(root, []).extend(members[distinct[i]])
    return sorted(sorted(cluster) for cluster in merged.values() if len(cluster) > 1)


def _components(sets: Sequence[frozenset[str]], threshold: float) -> list[int]:
    """Returns the root of each set's component."""
    union = UnionFind(len(sets))
    tokens = _rare_first(sets)
    order = sorted(range(len(sets)), key=lambda i: len(tokens[i]))
    index: dict[int, list[int]] = {}  # token -> sets seen so far with it in their prefix, by size
    whole = [frozenset(t) for t in tokens]
    for i in order:
        n = len(tokens[i])
        prefix = tokens[i][: n - math.ceil(threshold * n - _EPS) + 1]
        for j in _candidates(index, prefix, whole, threshold * n - _EPS):
            if union.find(i) != union.find(j) and _alike(whole[i], whole[j], threshold):
                union.union(i, j)
        for token in prefix:
            index.setdefault(token, []).append(i)
    return union.roots()


def _rare_first(sets: Sequence[frozenset[str]]) -> list[list[int]]:
    """Returns each set as ranks, rarest shingle first; ties are broken by the shingle itself."""
    counts = Counter(s for shingle_set in sets for s in shingle_set)
    rank = {s: r for r, s in enumerate(sorted(counts, key=lambda s: (counts[s], s)))}
    return [sorted(rank[s] for s in shingle_set) for shingle_set in sets]


def _candidates(
    index: dict[int, list[int]],
    prefix: Iterable[int],
    whole: Sequence[frozenset[int]],
    min_size: float,
) -> set[int]:
    """Returns the earlier (smaller) sets that share a prefix token and are large enough."""
    near: set[int] = set()
    for token in prefix:
        for j in reversed(index.get(token, ())):
            if len(whole[j]) < min_size:
                break  # postings grow in size, so all before are smaller still
            near.add(j)
    return near


def _alike(a: frozenset[int], b: frozenset[int], threshold: float) -> bool:
    shared = len(a & b)
    return shared >= threshold * (len(a) + len(b) - shared) - _EPS
