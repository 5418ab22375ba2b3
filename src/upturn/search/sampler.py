"""Optuna's part: which combination of ids is tried next. The home of optuna.

The study is a record, not the state of the search: it is rebuilt from the answer cache when a turn
is resumed, trial by trial. That needs the sampler to depend on the seed and the trial's number
only, never on how many draws a process happened to make before it was killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from upturn.search.catalogue import Catalogue, Choices


class TpeSampler:
    """Asks Optuna's TPE for choices and tells it scores.

    Args:
        catalogue: the frozen choices.
        seed: randomness of trial n is derived from (seed, n).
        journal: file that records the study, rewritten at the start; None keeps it in memory.
        startup: trials drawn at random before TPE models anything.
    """

    def __init__(
        self, catalogue: Catalogue, *, seed: int, journal: Path | None, startup: int = 10
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._seed, self._startup = seed, startup
        self._space = {
            name: optuna.distributions.CategoricalDistribution(list(options))
            for name, options in catalogue.options.items()
        }
        self._study: Any = optuna.create_study(
            direction="maximize", study_name="search", storage=self._storage(journal)
        )

    def _storage(self, journal: Path | None) -> Any:
        if journal is None:
            return None
        journal.parent.mkdir(parents=True, exist_ok=True)
        journal.unlink(missing_ok=True)
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        return JournalStorage(JournalFileBackend(str(journal)))

    def enqueue(self, choices: Choices) -> None:
        """Asks for a combination to be tried before any sampled one."""
        self._study.enqueue_trial(dict(choices))

    def ask(self) -> tuple[Any, Choices]:
        """Returns Optuna's trial and the choices to try."""
        number = len(self._study.get_trials(deepcopy=False))
        derived = int(np.random.default_rng([self._seed, number]).integers(2**31))
        self._study.sampler = self._optuna.samplers.TPESampler(
            seed=derived, n_startup_trials=self._startup
        )
        trial = self._study.ask(self._space)
        return trial, dict(trial.params)

    def tell(self, trial: Any, estimate: float | None, attributes: Mapping[str, Any]) -> None:
        """Reports a trial's estimate; None means that it could not be scored."""
        for key, value in attributes.items():
            trial.set_user_attr(key, value)
        if estimate is None:
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, estimate)
