"""Many looks by betting: an e-process that may be looked at after every group.

A gambler starts with 1 and bets a fixed share b of what there is on "the next group gains". With
X_g = S_g / n_max in [-1, 1], n_max the rows of the largest group, capital becomes
capital * (1 + b X_g). If no group gains on average, E[X_g | the groups before] <= 0, capital is a
supermartingale for every b in (0, 1), and so is the mean over a grid of bets. Ville's inequality:
the chance that it ever reaches 1/alpha is at most alpha, whenever and however often one looks
(Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting", JRSS-B
86). Nothing is asked of the shape of the differences, not even symmetry, and stopping needs no
plan. The price is power; ``docs/gate.md`` has the numbers.

The grid is fixed, so nothing is tuned on the rows. Capital rises with every S_g: a failed row never
helps. A limit for the effect is the shift d at which a gambler on S_g - d n_g, still bounded once
it is divided by n_max (1 + d), gets just to 1/alpha.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np

from upturn.gate.designs.base import (
    Asked,
    Interim,
    Plan,
    Prospect,
    check_stages,
    equal_cuts,
    lower_limit,
)
from upturn.gate.hope import conditional_power
from upturn.gate.statistics import Clusters, Floats

#: Shares that are bet, from "all groups gain" to a small gain over many groups.
BETS = tuple(0.9 * 0.6**k for k in range(8))
#: Random walks that the power is reckoned from, and their steps.
_WALKS, _STEPS = 2000, 100
#: The log of a capital that is enough at any level.
_ENOUGH = 300.0


@dataclass(frozen=True, kw_only=True)
class BettingDesign:
    """Many small stages; stops as soon as the capital is there, or cannot be hoped for.

    Attributes:
        stages: looks at most.
        futility: stop where even the test with the most power would reject at the end with less
            than this chance; 0 never does.
    """

    name: str = "betting"
    stages: int = 20
    futility: float = 0.1

    def __post_init__(self) -> None:
        check_stages(self.name, stages=self.stages, most=1000, futility=self.futility)

    def cuts(self, groups: int) -> tuple[int, ...]:
        """Stages with the same number of groups, but for one."""
        return equal_cuts(groups, self.stages)

    def look(self, clusters: Clusters, plan: Plan, asked: Asked) -> Interim:
        """Counts the capital after each group so far."""
        stage = plan.cuts.index(len(clusters.sums))
        largest = max(plan.sizes)
        best = float(log_wealth(clusters.sums / largest).max(initial=0.0))
        p_value = math.exp(-best)
        return Interim(
            p_value=p_value,
            level=asked.alpha,
            # Names the test and nothing that was found: a withheld report keeps it.
            test=f"betting by group, {len(plan.cuts)} stages",
            rejects=p_value <= asked.alpha,
            futile=stage + 1 < len(plan.cuts)
            and self._power(clusters, plan.times[stage], asked) < self.futility,
            limits=lambda: (
                _low(clusters, largest, asked.alpha),
                -_low(Clusters(sums=-clusters.sums, sizes=clusters.sizes), largest, asked.alpha),
            ),
        )

    def power(self, prospect: Prospect, alpha: float) -> float:
        """From random walks; the log of a bet's growth is taken to the second order."""
        times = np.arange(1, _STEPS + 1) / _STEPS
        totals_TW = _walks() + prospect.drift * times[:, None]
        capital_TW = np.zeros(totals_TW.shape)
        for bet in BETS:
            stake = bet * prospect.scale
            lost_T = (stake * prospect.spread) ** 2 * times / 2
            capital_TW += np.exp(np.minimum(stake * totals_TW - lost_T[:, None], _ENOUGH))
        return float((capital_TW.max(axis=0) / len(BETS) >= 1 / alpha).mean())

    def _power(self, clusters: Clusters, share: float, asked: Asked) -> float:
        power = conditional_power(
            clusters.sums,
            clusters.sizes,
            share=share,
            min_gain=asked.min_gain,
            z=z_at_end(asked.alpha),
        )
        return float(power)


@cache
def _walks() -> Floats:
    """Random walks that gain nothing, from 0 at time 0 to a variance of 1 at time 1."""
    steps_TW = np.random.default_rng(0).normal(size=(_STEPS, _WALKS)) / math.sqrt(_STEPS)
    return np.cumsum(steps_TW, axis=0)


def z_at_end(alpha: float) -> float:
    """Returns the z that the test with the most power asks of all rows."""
    return NormalDist().inv_cdf(1 - alpha)


def log_wealth(shares_G: Floats) -> Floats:
    """Returns the log of the capital after each group, from gains as shares of what was bet.

    Args:
        shares_G: in [-1, 1], in the order of the groups; further axes are worlds of their own.
    """
    wealth_G = np.full(shares_G.shape, -np.inf)
    for bet in BETS:
        wealth_G = np.logaddexp(wealth_G, np.cumsum(np.log1p(bet * shares_G), axis=0))
    return wealth_G - math.log(len(BETS))


def _low(clusters: Clusters, largest: float, alpha: float) -> float:
    goal = math.log(1 / alpha)

    def rejected(shift: float) -> bool:
        gains_G = (clusters.sums - shift * clusters.sizes) / (largest * (1 + max(shift, 0.0)))
        return bool(log_wealth(gains_G).max(initial=0.0) >= goal)

    return lower_limit(rejected)


DESIGN = BettingDesign
