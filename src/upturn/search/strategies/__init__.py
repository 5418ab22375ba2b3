"""Strategies: how the rows of a budget are spent on candidates. One file each."""

from upturn.search.strategies.base import Strategy
from upturn.search.strategies.full import FullStrategy
from upturn.search.strategies.halving import SuccessiveHalving
from upturn.search.strategies.racing import RacingStrategy
from upturn.search.strategies.whole import RandomStrategy, TpeStrategy

#: Name in a config -> strategy.
STRATEGIES: dict[str, type[Strategy]] = {
    "racing": RacingStrategy,
    "successive_halving": SuccessiveHalving,
    "tpe": TpeStrategy,
    "random": RandomStrategy,
    "full": FullStrategy,
}

__all__ = ["STRATEGIES", "Strategy"]
