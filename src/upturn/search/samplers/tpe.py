"""Optuna's TPE says who enters; and the record of a study in Optuna's terms. The home of optuna.

Nothing is kept between two questions: each rebuilds Optuna's study from what was tried, so the
estimates that TPE sees are always the newest, and a replayed search asks the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from upturn.records import Json
from upturn.search.catalogue import Choices
from upturn.search.samplers.base import History
from upturn.search.space import Space


@dataclass(frozen=True)
class TpeSampler:
    """Tree-structured Parzen estimator over the ids.

    Attributes:
        startup: combinations drawn at random before TPE models anything.
    """

    startup: int = 10

    def ask(self, history: History, rng: np.random.Generator) -> Choices:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(
            seed=int(rng.integers(2**31)), n_startup_trials=self.startup
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        space_of = _distributions(history.space)
        for t in history.tried:
            study.add_trial(
                optuna.trial.create_trial(
                    params=dict(t.choices), distributions=space_of, value=t.estimate
                )
            )
        return dict(study.ask(space_of).params)


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial as the record shows it; ``estimate`` None is a trial without a score."""

    choices: Choices
    estimate: float | None
    finished: bool
    attributes: Mapping[str, Json]


def write_record(
    space: Space,
    trials: Iterable[TrialRecord],
    *,
    name: str,
    journal: Path | None = None,
    url: str | None = None,
) -> None:
    """Writes a study where Optuna's tools can read it; an older study of the name is replaced.

    Args:
        space: the choices.
        trials: in order.
        name: of the study.
        journal: a file to write, or None.
        url: an Optuna database (``postgresql+psycopg://…``, ``sqlite:///…``) to write to as well.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space_of = _distributions(space)
    made = [_trial(t, space_of) for t in trials]
    for storage in _storages(journal, url):
        if name in optuna.get_all_study_names(storage):
            optuna.delete_study(study_name=name, storage=storage)
        study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        study.add_trials(made)
        storage.remove_session()
        if isinstance(storage, optuna.storages.RDBStorage):
            storage.engine.dispose()


def _trial(record: TrialRecord, space_of: Mapping[str, Any]) -> Any:
    import optuna

    states = optuna.trial.TrialState
    state = states.COMPLETE if record.finished else states.PRUNED
    return optuna.trial.create_trial(
        params=dict(record.choices),
        distributions=dict(space_of),
        value=record.estimate,
        state=states.FAIL if record.estimate is None else state,
        user_attrs=dict(record.attributes),
    )


def _storages(journal: Path | None, url: str | None) -> list[Any]:
    import optuna

    out: list[Any] = []
    if journal is not None:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        journal.parent.mkdir(parents=True, exist_ok=True)
        journal.unlink(missing_ok=True)
        out.append(JournalStorage(JournalFileBackend(str(journal))))
    if url is not None:
        out.append(optuna.storages.RDBStorage(url))
    return out


def _distributions(space: Space) -> dict[str, Any]:
    import optuna

    return {
        name: optuna.distributions.CategoricalDistribution(list(ids))
        for name, ids in space.options.items()
    }
