"""The seam for tests: what a test may do to a training that runs. A real run has none of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Hooks:
    """Does nothing. A test passes a subclass to ``train``; each method may raise, wait or kill."""

    def before_optimizer(self, step: int, model: Any) -> None:
        """Called before the optimizer's step number ``step``, when the gradients are ready."""

    def step_done(self, step: int) -> None:
        """Called after a step, before anything is said, evaluated or saved for it."""

    def writing(self, path: Path, data: bytes) -> None:
        """Called before a file of a checkpoint or of the final adapter is written."""
