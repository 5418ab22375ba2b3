"""Drafts: what an answer will probably go on with, learned from earlier answers to one prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

# Below this share of the answers seen, checking a guess costs more than it saves.
_LEAST_SHARE = 0.6
_MAX_NODES = 20_000


@dataclass
class _Node:
    count: int = 0
    next: dict[int, _Node] = field(default_factory=dict)


class Drafts:
    """A prefix tree of the answers seen. Not thread-safe: one worker owns it.

    Args:
        max_length: most tokens to guess at once; 0 turns guessing off.
    """

    def __init__(self, max_length: int = 8) -> None:
        self.max_length = max_length
        self._root = _Node()
        self._nodes = 1

    def observe(self, answer: Sequence[int]) -> None:
        """Adds one finished answer; ignored once the tree is large."""
        if self._nodes > _MAX_NODES:
            return
        node = self._root
        node.count += 1
        for token in answer:
            if token not in node.next:
                node.next[token] = _Node()
                self._nodes += 1
            node = node.next[token]
            node.count += 1

    def propose(self, answer: Sequence[int], limit: int) -> list[int]:
        """Returns up to ``limit`` tokens that most answers with this start went on with."""
        node: _Node | None = self._root
        for token in answer:
            node = node.next.get(token) if node is not None else None
        guess: list[int] = []
        while node is not None and len(guess) < min(limit, self.max_length) and node.next:
            token, child = max(node.next.items(), key=lambda item: item[1].count)
            if child.count < _LEAST_SHARE * node.count:
                break
            guess.append(token)
            node = child
        return guess
