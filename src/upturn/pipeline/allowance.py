"""How long a search may go on: what the finalists and the gate need is set aside first."""

from __future__ import annotations

from dataclasses import dataclass

from upturn.config import Config
from upturn.errors import ConfigError
from upturn.lm import Caps
from upturn.pipeline.dev import DevParts
from upturn.pipeline.opening import Reading
from upturn.search.finalists import fresh_rows
from upturn.search.search import FINAL_SHARE
from upturn.search.strategies.racing import RacingStrategy

#: Answers before a pace is believed.
PACE_ANSWERS = 200


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """Asked before each trial.

    Attributes:
        meter: what was spent so far.
        caps: the turn's caps.
        reserved_calls: calls that the finalists and the gate will need at most.
        trial_calls: calls that one step of the search needs at most.
    """

    meter: Reading
    caps: Caps
    reserved_calls: int
    trial_calls: int

    def check(self) -> None:
        """Refuses a budget that cannot pay for a gate at all.

        Raises:
            ConfigError: max_calls is below what one trial, the finalists and the gate need.
        """
        needed = self.reserved_calls + self.trial_calls
        if self.caps.max_calls is not None and self.caps.max_calls < needed:
            raise ConfigError(
                f"budget.max_calls must be >= {needed} for one trial, the finalists and the gate, "
                f"got {self.caps.max_calls}",
                fix=f"set budget.max_calls={needed * 3} or more, or make the splits smaller",
            )

    def refusal(self) -> str:
        """Returns why the search must end now, or "" when one more trial is affordable."""
        needed = self.reserved_calls + self.trial_calls
        totals = self.meter.totals()
        # Until something was paid for there is no price to go by.
        per_call = totals.usd / totals.calls if totals.calls else 0.0
        # Answers from the cache count: a resumed turn spends its first minute on little else, and
        # what it takes to start must not pass for the pace of the model.
        answers = totals.calls + totals.cached_calls
        pace = totals.seconds / answers if answers >= PACE_ANSWERS else 0.0
        limits = (
            ("calls", self.caps.max_calls, totals.calls + needed),
            ("usd", self.caps.max_usd, totals.usd + needed * per_call),
            ("seconds", self.caps.max_seconds, totals.seconds + self.reserved_calls * pace),
        )
        for name, cap, wanted in limits:
            if cap is not None and wanted > cap:
                return f"the rest of the cap of {cap:g} {name} is set aside for the gate"
        return ""


def reserved_rows(config: Config, dev: DevParts, holdout_rows: int) -> int:
    """Rows that the finalists and the gate run at most."""
    search = config.search
    if config.optimizer != "upturn":
        # A peer's finalists run on all of dev.
        each = len(dev.searched) + len(dev.fresh)
    else:
        final = round(FINAL_SHARE * search.evaluations)
        each = fresh_rows(final, search.finalists, len(dev.fresh))
    return (search.finalists + 1) * each + gate_rows(config) * holdout_rows


def gate_rows(config: Config) -> int:
    """Times that a row of the holdout is run at most: by the champion and every challenger."""
    return (1 + config.gate.challengers) * config.gate.replicates


def step_rows(config: Config, dev: DevParts) -> int:
    """Rows that a search runs at most between two questions whether it may go on."""
    search = config.search
    if search.strategy != "racing" or config.optimizer != "upturn":
        return len(dev.searched)
    return max(2 * search.race.block_rows, 2 * search.evaluations // RacingStrategy().rounds)
