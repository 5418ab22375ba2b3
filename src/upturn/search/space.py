"""The space of a study: which choices there are, as a strategy and a sampler see them.

Strategies work on ids and scores alone, so they run the same on a live model and on a recorded
table of scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from upturn.search.catalogue import Catalogue, Choices

Codes = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Space:
    """Choice names, their ids, and where each id came from.

    Attributes:
        options: choice name -> ids, in a stable order.
        origins: choice name -> id -> origin, e.g. ``"balanced:12"``.
        chars: length of the prompt that choices spell; of equals the shorter wins.
    """

    options: Mapping[str, Sequence[str]]
    origins: Mapping[str, Mapping[str, str]]
    chars: Callable[[Choices], int]

    @classmethod
    def of(cls, catalogue: Catalogue) -> Space:
        """The space of a catalogue."""
        return cls(
            options={name: tuple(options) for name, options in catalogue.options.items()},
            origins={
                name: {i: p.origin for i, p in options.items()}
                for name, options in catalogue.options.items()
            },
            chars=lambda choices: catalogue.candidate(choices).prompt_chars,
        )

    @property
    def size(self) -> int:
        """Number of combinations."""
        total = 1
        for ids in self.options.values():
            total *= len(ids)
        return total

    def key(self, choices: Choices) -> tuple[str, ...]:
        """The choices as a tuple, in the order of ``options``."""
        return tuple(choices[name] for name in self.options)

    def draw(self, rng: np.random.Generator) -> Choices:
        """One combination, uniformly."""
        return {name: ids[int(rng.integers(len(ids)))] for name, ids in self.options.items()}

    def at(self, index: int) -> Choices:
        """The combination of a number in [0, size)."""
        out: dict[str, str] = {}
        for name, ids in self.options.items():
            index, i = divmod(index, len(ids))
            out[name] = ids[i]
        return out

    def codes(self, choices: Sequence[Choices]) -> Codes:
        """Returns [combinations, features]: for each choice its origin's kind, origin, and id.

        Two combinations have equal codes in a feature where they share what it stands for.
        """
        return np.array([[*self._codes_of(c)] for c in choices], dtype=np.int64).reshape(
            len(choices), 3 * len(self.options)
        )

    def _codes_of(self, choices: Choices) -> list[int]:
        return [code for name in self.options for code in self._table[name][choices[name]]]

    @cached_property
    def _table(self) -> dict[str, dict[str, tuple[int, int, int]]]:
        return {name: self._coded(name) for name in self.options}

    def _coded(self, name: str) -> dict[str, tuple[int, int, int]]:
        origins = [self.origins[name][i] for i in self.options[name]]
        kinds = {k: n for n, k in enumerate(dict.fromkeys(o.partition(":")[0] for o in origins))}
        whole = {o: n for n, o in enumerate(dict.fromkeys(origins))}
        return {
            i: (kinds[o.partition(":")[0]], whole[o], n)
            for n, (i, o) in enumerate(zip(self.options[name], origins, strict=True))
        }
