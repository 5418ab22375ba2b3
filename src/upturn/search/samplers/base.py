"""What a sampler is: it sees what was tried, and offers the next combination.

A sampler keeps no state: the same history and randomness give the same offer, so a search that was
killed and replayed makes the same choices. To add one: write a file in this folder, and add it to
``SAMPLERS``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from upturn.search.catalogue import Choices
from upturn.search.space import Space


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A combination that has run some rows.

    Attributes:
        choices: the combination.
        estimate: what its level is believed to be, on all rows.
        rows: rows it ran.
    """

    choices: Choices
    estimate: float
    rows: int


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """What a sampler may know of a study.

    Attributes:
        space: the choices.
        tried: combinations that have run rows, in the order of entering.
        known: keys (``Space.key``) of all that have entered; they cannot enter again.
    """

    space: Space
    tried: Sequence[Tried]
    known: frozenset[tuple[str, ...]]


class Sampler(Protocol):
    """Called each time a candidate may enter."""

    def ask(self, history: History, rng: np.random.Generator) -> Choices | None:
        """Offers a combination; one that has entered is refused, and another is asked for.

        Returns:
            None where the sampler has nothing to offer.
        """
        ...
