"""How other optimizers spend rows and choose, replayed on recorded tables.

Their choices are the table's: what is compared is the rule, not who writes better instructions.

    mipro      DSPy's MIPROv2: TPE on minibatches of 35 rows; after every five, the combination with
               the best mean that was not run on all rows is; the best of those wins
    random_search  DSPy's BootstrapFewShotWithRandomSearch: random combinations on all rows
    gepa       DSPy's GEPA: a parent from the row-wise Pareto front, one option changed; where three
               rows say it is better it runs on all rows; the best mean wins

Each reports the score that it chose on, as it does in DSPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.tables import Floats, Table
from upturn.search.catalogue import Choices

MINIBATCH, FULL_EVERY, GEPA_ROWS = 35, 5, 3


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where an optimizer is after some rows.

    Attributes:
        spent: rows run so far.
        choices: what it would return now.
        reported: the score that it would report of it.
    """

    spent: int
    choices: Choices
    reported: float


class Dev:
    """The dev rows of one replay, and what was spent on them."""

    def __init__(self, table: Table, rows: np.ndarray) -> None:
        self.table, self.rows = table, rows
        self.values_CR: Floats = table.values_CR[:, rows]
        self.spent = 0

    def of(self, choices: Choices) -> Floats:
        return self.values_CR[self.table.index[self.table.space.key(choices)]]

    def full(self, choices: Choices) -> float:
        self.spent += len(self.rows)
        return float(self.of(choices).mean())


def random_search(dev: Dev, rng: np.random.Generator) -> Iterator[Standing]:
    """The program as written, then random combinations, each on all rows."""
    best, score = dev.table.start, dev.full(dev.table.start)
    while True:
        yield Standing(spent=dev.spent, choices=best, reported=score)
        tried = dev.table.space.draw(rng)
        found = dev.full(tried)
        if found > score:
            best, score = tried, found


def mipro(dev: Dev, rng: np.random.Generator) -> Iterator[Standing]:
    """TPE on minibatches, full evaluations now and then."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = dev.table.space
    sampler = optuna.samplers.TPESampler(seed=int(rng.integers(2**31)), multivariate=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions = {
        n: optuna.distributions.CategoricalDistribution(list(ids))
        for n, ids in space.options.items()
    }
    full = {space.key(dev.table.start): dev.full(dev.table.start)}
    best, score = dev.table.start, full[space.key(dev.table.start)]
    start = {"params": dict(best), "distributions": distributions, "value": score}
    study.add_trial(optuna.trial.create_trial(**start))
    means: dict[tuple[str, ...], list[float]] = {}
    while True:
        yield Standing(spent=dev.spent, choices=best, reported=score)
        for _ in range(FULL_EVERY):
            trial = study.ask(distributions)
            picks = rng.choice(len(dev.rows), min(MINIBATCH, len(dev.rows)), replace=False)
            value = float(dev.of(trial.params)[picks].mean())
            dev.spent += len(picks)
            study.tell(trial, value)
            means.setdefault(space.key(trial.params), []).append(value)
        waiting = {k: float(np.mean(v)) for k, v in means.items() if k not in full}
        if waiting:
            key = max(waiting, key=lambda k: waiting[k])
            tried = dict(zip(space.options, key, strict=True))
            full[key] = dev.full(tried)
            made = {"params": tried, "distributions": distributions, "value": full[key]}
            study.add_trial(optuna.trial.create_trial(**made))
            if full[key] > score:
                best, score = tried, full[key]


def gepa(dev: Dev, rng: np.random.Generator) -> Iterator[Standing]:
    """Pareto selection of parents, a test on three rows, then all rows."""
    space = dev.table.space
    pool = [dict(dev.table.start)]
    scores = [dev.full(pool[0])]
    while True:
        best = int(np.argmax(scores))
        yield Standing(spent=dev.spent, choices=pool[best], reported=scores[best])
        values = np.array([dev.of(c) for c in pool])
        wins = (values == values.max(axis=0)).sum(axis=1).astype(float)
        parent = pool[int(rng.choice(len(pool), p=wins / wins.sum()))]
        name = list(space.options)[int(rng.integers(len(space.options)))]
        child = {**parent, name: space.options[name][int(rng.integers(len(space.options[name])))]}
        picks = rng.choice(len(dev.rows), GEPA_ROWS, replace=False)
        dev.spent += 2 * GEPA_ROWS
        if child not in pool and dev.of(child)[picks].sum() > dev.of(parent)[picks].sum():
            pool.append(child)
            scores.append(dev.full(child))


PEER_RULES: dict[str, Callable[[Dev, np.random.Generator], Iterator[Standing]]] = {
    "mipro": mipro,
    "random_search": random_search,
    "gepa": gepa,
}
