"""What a strategy is: it decides who runs which rows until the study's budget is spent.

To add one: write a file in this folder with a frozen dataclass that has ``run``, and add it to
``STRATEGIES``. The replay benchmark then compares it with the others.
"""

from __future__ import annotations

from typing import Protocol

from upturn.search.study import Study


class Strategy(Protocol):
    """Called once a study, after the candidate that runs now has entered as number 0."""

    def run(self, study: Study) -> None:
        """Spends ``study.left`` rows; ends when none are left or nobody has any to run.

        Acts through ``study.enter``, ``extend``, ``leave`` and ``drop_worse`` only, and draws
        randomness from ``study.rng`` only.
        """
        ...
