"""Union-find: which of n things belong together, given pairs that do."""

from __future__ import annotations


class UnionFind:
    """Disjoint sets over ``0 .. n-1``; the root of a set is its smallest member."""

    def __init__(self, n: int) -> None:
        self._parent = list(range(n))

    def find(self, i: int) -> int:
        """Returns the smallest member of the set of i."""
        parent = self._parent
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def union(self, i: int, j: int) -> bool:
        """Joins two sets; returns False where they were one already."""
        a, b = sorted((self.find(i), self.find(j)))
        self._parent[b] = a
        return a != b

    def roots(self) -> list[int]:
        """Returns the root of each member, in order."""
        return [self.find(i) for i in range(len(self._parent))]
