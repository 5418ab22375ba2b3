"""Every combination is as likely as any other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from upturn.search.catalogue import Choices
from upturn.search.samplers.base import History


@dataclass(frozen=True)
class UniformSampler:
    """Draws at random, whatever was tried."""

    def ask(self, history: History, rng: np.random.Generator) -> Choices:
        return history.space.draw(rng)
