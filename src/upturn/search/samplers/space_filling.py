"""Each newcomer shares as little as it can with those that entered before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from upturn.search.catalogue import Choices
from upturn.search.samplers.base import History
from upturn.search.space import Codes


@dataclass(frozen=True)
class SpaceFillingSampler:
    """Offers what shares the fewest options and proposers with those that entered.

    What one candidate showed counts for all that share an option or a proposer with it
    (``search.beliefs``), so a broad field says most. Offering the highest of many draws of what is
    believed (Thompson 1933) was worse in replays: rows went to near-copies.

    Attributes:
        pool: combinations considered at a time, drawn at random from a larger space.
    """

    pool: int = 160

    def ask(self, history: History, rng: np.random.Generator) -> Choices | None:
        pool = self._untried(history, rng)
        if not pool:
            return None
        return pool[_newest(history, history.space.codes(pool))]

    def _untried(self, history: History, rng: np.random.Generator) -> Sequence[Choices]:
        """Combinations that have not entered: all of a small space, a random part of a large."""
        space = history.space
        if space.size <= self.pool:
            numbers = rng.permutation(space.size)
        else:
            numbers = rng.integers(space.size, size=self.pool)
        found = {space.key(c): c for c in (space.at(int(i)) for i in numbers)}
        return [c for key, c in found.items() if key not in history.known]


def _newest(history: History, codes_CF: Codes) -> int:
    """The first that shares least with those that entered: new proposers before new ids."""
    names = tuple(history.space.options)
    entered = [dict(zip(names, key, strict=True)) for key in sorted(history.known)]
    seen_TF = history.space.codes(entered)
    shared_C = (codes_CF[:, None, :] == seen_TF[None, :, :]).sum(axis=(1, 2))
    return int(shared_C.argmin())
