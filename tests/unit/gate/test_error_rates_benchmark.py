"""The simulation behind ``docs/gate.md`` runs the product's own designs, many worlds at once."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.error_rates import DESIGNS, LEVELS, PAID, Share, looks
from benchmarks.error_rates_worlds import worlds
from upturn.gate.designs import Asked, Plan
from upturn.gate.statistics import Clusters

WORLDS = {world.name: world for world in worlds()}


@pytest.mark.parametrize("name", list(DESIGNS))
@pytest.mark.parametrize("kind", ["binary", "weighted"])
def test_it_decides_as_the_designs_do(name: str, kind: str):
    world, design = WORLDS[kind], DESIGNS[name]
    sums_GY = world.sums(np.random.default_rng(0), years=8, weeks=1, gain=0.08)[0]
    found = looks(name, world, sums_GY, 0.05, 2000, 0)
    sizes = world.sizes_G
    cuts = design.cuts(len(sizes))
    plan = Plan(order=("",) * len(sizes), sizes=tuple(sizes.tolist()), cuts=cuts)
    asked = Asked(alpha=0.05, min_gain=0.05, draws=2000, seed=0)
    same, seen = 0, 0
    for year in range(8):
        for stage, cut in enumerate(cuts):
            part = Clusters(sums=sums_GY[:cut, year], sizes=sizes[:cut])
            look = design.look(part, plan, asked)
            assert look.futile == found.futile_KY[stage, year]
            same += look.rejects == found.reject_KY[stage, year]
            seen += 1
    # Draws of their own make a p-value next to its level fall on either side.
    assert same >= seen - (0 if name == "betting" else 2)


def test_a_year_has_five_looks_that_may_err_and_an_interval_is_wilsons():
    assert (len(LEVELS), len(PAID)) == (52, 5)
    assert sum(LEVELS) < 0.05
    assert Share(hits=10, of=100).interval == pytest.approx((0.05523, 0.17437), abs=1e-5)
    assert Share(hits=0, of=50).interval[0] == 0.0


def test_a_gain_is_what_was_asked_for():
    for name in ("graded", "clustered", "drifting"):
        world = WORLDS[name]
        sums_GY = world.sums(np.random.default_rng(1), years=400, weeks=1, gain=0.08)[0]
        effect = sums_GY.sum(axis=0).mean() / world.weight_E.sum()
        # five standard errors of 400 holdouts
        assert effect == pytest.approx(0.08, abs=5 * world.deviation(0.08) / 20)
