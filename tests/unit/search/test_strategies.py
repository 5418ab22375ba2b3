"""What every strategy and every sampler must keep."""

import numpy as np
import pytest

from tests.unit.search.worlds import World, study
from upturn.search import SAMPLERS, STRATEGIES
from upturn.search.samplers import SpaceFillingSampler, TpeSampler
from upturn.search.strategies.halving import SuccessiveHalving

LEVELS = {f"c{i:02d}": 0.3 + 0.02 * i for i in range(20)}
strategies = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
samplers = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)


@strategies
@samplers
@pytest.mark.parametrize("budget", [1, 30, 500])
def test_no_strategy_spends_more_than_its_budget(strategy, sampler, budget):
    world = World(LEVELS, rows=60)
    made = study(world, sampler(), evaluations=budget)
    strategy().run(made)
    assert world.spent == made.spent <= budget
    for entry in made.entries:
        assert (~np.isnan(entry.values_R)).sum() == entry.seen
        assert np.isnan(entry.values_R[entry.seen :]).all()


@strategies
def test_the_same_seed_gives_the_same_study(strategy):
    def run(seed):
        made = study(
            World(LEVELS, rows=60), SAMPLERS["space_filling"](), seed=seed, evaluations=400
        )
        strategy().run(made)
        return [(e.choices["p"], e.seen, e.reason) for e in made.entries]

    assert run(1) == run(1)


@strategies
def test_nobody_enters_twice_and_no_more_than_may(strategy):
    made = study(World(LEVELS, rows=20), SAMPLERS["random"](), evaluations=2000, n_trials=7)
    strategy().run(made)
    names = [e.choices["p"] for e in made.entries]
    assert len(names) == len(set(names)) == 7


@strategies
def test_a_catalogue_of_one_ends_with_that_one(strategy):
    made = study(World({"only": 0.5}, rows=40), SAMPLERS["space_filling"](), evaluations=500)
    strategy().run(made)
    assert [e.choices["p"] for e in made.entries] == ["only"]
    assert made.spent <= 40


@strategies
def test_a_study_that_may_not_go_on_stops(strategy):
    made = study(World(LEVELS, rows=60), SAMPLERS["random"](), evaluations=10**6)
    asked = iter(["", "", "", "the rest is set aside"])
    made.may_go_on = lambda: next(asked)
    strategy().run(made)
    assert made.stopped == "the rest is set aside"


@strategies
def test_rows_without_a_score_are_survived(strategy):
    world = World(LEVELS, rows=40)
    for name in list(LEVELS)[:5]:
        world._values[name][:] = np.nan
    made = study(world, SAMPLERS["space_filling"](), evaluations=400, start="c07")
    strategy().run(made)
    assert made.spent <= 400
    assert len(made.entries) > 1


@pytest.mark.parametrize("name", ["racing", "successive_halving"])
def test_spending_by_evidence_finds_better_than_whole_runs(name):
    def mean_level(strategy):
        found = []
        for seed in range(25):
            made = study(
                World(LEVELS, rows=120, seed=seed), SAMPLERS["random"](), seed=seed, evaluations=360
            )
            strategy.run(made)
            entries, levels = made.standing()
            found.append(LEVELS[entries[int(levels.mean_C.argmax())].choices["p"]])
        return np.mean(found)

    assert mean_level(STRATEGIES[name]()) >= mean_level(STRATEGIES["random"]()) + 0.03


def test_whoever_costs_too_much_leaves_but_never_who_runs_now():
    world = World(LEVELS, rows=60)
    world.refused = dict.fromkeys(LEVELS, "costs 2 USD a row, the limit is 1")
    made = study(world, SAMPLERS["random"](), evaluations=200)
    STRATEGIES["racing"]().run(made)
    assert made.entries[0].reason == ""
    assert {e.reason for e in made.entries[1:] if e.seen} == {"costs 2 USD a row, the limit is 1"}


def test_halving_goes_on_with_the_better_half():
    made = study(World(LEVELS, rows=64), SAMPLERS["random"](), evaluations=600)
    SuccessiveHalving().run(made)
    seen = sorted((e.seen for e in made.entries), reverse=True)
    assert seen[0] == 64
    assert seen.count(8) >= len(seen) / 3


def test_space_filling_takes_every_option_before_one_comes_again():
    made = _two_choices(SpaceFillingSampler(), seed=1)
    first = [e.choices["x"] for e in made.entries[:4]]
    assert sorted(first) == ["x0", "x1", "x2", "x3"]
    assert len({e.choices["y"] for e in made.entries}) == len(made.entries)


def test_tpe_learns_from_what_was_tried():
    """Two choices; one option of the first is far better: it must come up more often at last."""
    shares = []
    for seed in range(8):
        made = _two_choices(TpeSampler(startup=8), seed)
        entered = [e.choices["x"] for e in made.entries[16:]]
        shares.append(np.mean([x == "x3" for x in entered]))
    assert np.mean(shares) >= 0.4, "a quarter would be chance"


def _two_choices(sampler, seed):
    from upturn.search.space import Space

    names = {"x": tuple(f"x{i}" for i in range(4)), "y": tuple(f"y{i}" for i in range(40))}
    rng = np.random.default_rng(seed)

    class Arena:
        units = np.arange(40)

        def run(self, work):
            return [
                (rng.random(len(s)) < (0.8 if c["x"] == "x3" else 0.3)).astype(float)
                for c, s in work
            ]

        def refusal(self, choices):
            return ""

    made = study(World({"only": 0.5}), sampler, seed=seed, evaluations=10**6, n_trials=30)
    made.space = Space(
        options=names,
        origins={k: {i: f"{i}" for i in ids} for k, ids in names.items()},
        chars=lambda c: 0,
    )
    made.arena, made.entries = Arena(), []
    made._known.clear()
    while len(made.entries) < 28 and (entry := made.enter()) is not None:
        made.extend([(entry, 40)])
    return made
