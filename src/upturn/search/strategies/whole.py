"""Every candidate runs on every row: what optimizers without early stopping do."""

from __future__ import annotations

from dataclasses import dataclass

from upturn.search.samplers import TpeSampler, UniformSampler
from upturn.search.samplers.base import Sampler
from upturn.search.study import Study


@dataclass(frozen=True)
class TpeStrategy:
    """Optuna's TPE offers one after the other."""

    def run(self, study: Study) -> None:
        _one_by_one(study, TpeSampler())


@dataclass(frozen=True)
class RandomStrategy:
    """Candidates drawn at random, one after the other."""

    def run(self, study: Study) -> None:
        _one_by_one(study, UniformSampler())


def _one_by_one(study: Study, sampler: Sampler) -> None:
    study.sampler = sampler
    study.extend([(study.entries[0], study.rows)])
    while study.left:
        entry = study.enter()
        if entry is None:
            return
        study.extend([(entry, study.rows)])
