"""Prediction-powered effects as statistics: unbiased, covering, shorter with a good judge."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pytest

from upturn.gate.prediction_powered import MIN_GROUPS, Powered, powered

LEVEL = 0.05


@dataclass(frozen=True)
class World:
    """Paired differences in {-1, 0, 1} with a mean of .1.

    Attributes:
        right: chance that the judge's difference is people's; else it is drawn from ``wrong``.
        wrong: the judge's own (better, worse): a mean far from people's is a biased judge.
        size: rows a group; all rows of a group have the same difference on half of the groups.
    """

    right: float
    wrong: tuple[float, float] = (0.2, 0.2)
    size: int = 1

    def draw(self, rng, groups: int, labelled: int):
        """One holdout: people score the rows of ``labelled`` groups at random, in part."""
        whole = rng.random((groups, 1)) < 0.5
        alone, shared = (rng.random((groups, w)) for w in (self.size, 1))
        luck = np.where(whole, shared, alone).ravel()
        truth = np.where(luck < 0.3, 1.0, np.where(luck < 0.5, -1.0, 0.0))
        own = rng.random(len(truth))
        better, worse = self.wrong
        said = np.where(own < better, 1.0, np.where(own < better + worse, -1.0, 0.0))
        judge = np.where(rng.random(len(truth)) < self.right, truth, said)
        names = [f"g{i // self.size}" for i in range(len(truth))]
        chosen = set(rng.choice(groups, labelled, replace=False).tolist())
        # In a labelled group nine rows in ten are scored, so that groups hold both kinds.
        seen = [i // self.size in chosen and rng.random() < 0.9 for i in range(len(truth))]
        human = [float(t) if s else None for t, s in zip(truth, seen, strict=True)]
        return judge.tolist(), human, names


def simulate(world: World, *, times: int, seed: int = 0, labelled: int = 80) -> list[Powered]:
    rng = np.random.default_rng(seed)
    found = [powered(*world.draw(rng, 400, labelled), level=LEVEL) for _ in range(times)]
    assert all(f is not None and f.low is not None for f in found)
    return [f for f in found if f is not None]


WORLDS = {
    "perfect": World(right=1.0),
    "good": World(right=0.9),
    "random": World(right=0.0),
    "biased": World(right=0.5, wrong=(0.9, 0.0)),
    "hostile": World(right=0.0, wrong=(0.0, 1.0)),
    "good, grouped": World(right=0.9, size=4),
    "biased, grouped": World(right=0.5, wrong=(0.9, 0.0), size=4),
}


@pytest.mark.parametrize("name", WORLDS)
def test_it_is_unbiased_and_covers_whatever_the_judge_is(name):
    times = 500
    found = simulate(WORLDS[name], times=times)
    effects = np.array([f.effect for f in found])
    error = effects.std() / times**0.5
    assert abs(effects.mean() - 0.1) < 3.5 * error
    covered = np.mean([f.low <= 0.1 <= f.high for f in found])
    nominal = 1 - 2 * LEVEL
    assert covered >= nominal - 3 * (nominal * (1 - nominal) / times) ** 0.5 - 0.01


def width(found: list[Powered]) -> tuple[float, float]:
    """Mean widths: with the judge, and by people alone."""
    own = np.mean([f.high - f.low for f in found])
    return float(own), float(np.mean([f.alone_high - f.alone_low for f in found]))


def test_a_good_judge_makes_it_much_shorter_and_a_bad_one_costs_nothing():
    for name, limit in (("perfect", 0.5), ("good", 0.7), ("good, grouped", 0.75)):
        own, alone = width(simulate(WORLDS[name], times=100))
        assert own < limit * alone, name
    for name in ("random", "hostile"):
        found = simulate(WORLDS[name], times=100)
        own, alone = width(found)
        assert own <= 1.001 * alone, name
        assert np.mean([f.weight for f in found]) < 0.15


def test_single_rows_give_the_published_estimate_and_lambda():
    rng = np.random.default_rng(4)
    judge, human, names = World(right=0.8).draw(rng, 300, 100)
    found = powered(judge, human, names, level=LEVEL)
    assert found is not None
    seen = np.array([h is not None for h in human])
    f, y = np.array(judge), np.array([h or 0.0 for h in human])
    n, others = int(seen.sum()), int((~seen).sum())
    # PPI++: Cov(y, f) / ((1 + n/N) Var(f)); theirs pools the variance of f over both samples.
    spread = ((f[seen] - f[seen].mean()) ** 2).sum() / n**2
    rest = ((f[~seen] - f[~seen].mean()) ** 2).sum() / others**2
    shared = ((y[seen] - y[seen].mean()) * (f[seen] - f[seen].mean())).sum() / n**2
    weight = shared / (spread + rest)
    assert found.weight == pytest.approx(weight)
    assert found.effect == pytest.approx(
        weight * f[~seen].mean() + (y[seen] - weight * f[seen]).mean()
    )
    pooled = np.cov(y[seen], f[seen])[0, 1] / ((1 + n / others) * f.var(ddof=1))
    assert found.weight == pytest.approx(pooled, rel=0.1)
    assert (found.rows, found.groups, found.judged) == (n, n, others)


def test_all_rows_labelled_is_people_alone():
    human = [1.0, -1.0, 0.0, 1.0] * 10
    found = powered([1.0] * 40, human, [str(i) for i in range(40)], level=LEVEL)
    assert found is not None
    assert (found.effect, found.weight, found.judged) == (0.25, 0.0, 0)
    assert (found.low, found.high) == (found.alone_low, found.alone_high)
    error = np.std(human, ddof=1) / 40**0.5
    assert found.high - found.effect == pytest.approx(1.685 * error, rel=1e-3)  # t, 39 degrees
    assert NormalDist().inv_cdf(0.95) < 1.685


def test_few_labels_give_an_effect_and_no_interval_and_none_gives_nothing():
    names = [str(i) for i in range(100)]
    few = powered([0.0] * 100, [1.0] * (MIN_GROUPS - 1) + [None] * 81, names, level=LEVEL)
    assert few is not None
    assert (few.effect, few.low, few.high) == (1.0, None, None)
    assert powered([0.0] * 100, [None] * 100, names, level=LEVEL) is None


def test_weights_count_as_that_many_rows():
    judge, human = [0.5, 0.0, 1.0, 0.5], [1.0, 0.0, None, None]
    names = ["a", "b", "c", "d"]
    weighted = powered(judge, human, names, [2.0, 1.0, 1.0, 3.0], level=LEVEL)
    repeated = powered(
        [0.5, 0.5, 0.0, 1.0, 0.5, 0.5, 0.5],
        [1.0, 1.0, 0.0, None, None, None, None],
        ["a", "a", "b", "c", "d", "d", "d"],
        level=LEVEL,
    )
    assert weighted is not None
    assert repeated is not None
    assert weighted.effect == pytest.approx(repeated.effect)
    assert weighted.weight == pytest.approx(repeated.weight)
