"""How labels are made, every number of it: which rule reads what, whom to trust, how far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from upturn.errors import ConfigError
from upturn.events.records import Role, Signal
from upturn.labels.defaults import DEFAULTS
from upturn.labels.overrides import changed_rules
from upturn.labels.rule import Rule
from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class TextRules:
    """When an edit of a free text confirms it.

    Attributes:
        free_from: characters from which an answer is a free text, and not one of a set of labels.
        confirms_from: share of words in common, in [0, 1], from which an edit confirms the answer.
    """

    free_from: int = 40
    confirms_from: float = 0.8


@dataclass(frozen=True, kw_only=True)
class TrustRules:
    """When a rater is set aside: their votes agree with what others showed as chance would.

    Attributes:
        min_votes: comparable votes below which everybody is trusted.
        min_agreement: posterior mean agreement below which votes are ignored.
        min_claims_agreement: the same for the values that somebody names, by the upper end of the
            95 % interval: those who correct are mostly compared where somebody disagrees.
        prior_agree, prior_disagree: A and B of the Beta prior.
    """

    min_votes: int = 5
    min_agreement: float = 0.6
    min_claims_agreement: float = 0.5
    prior_agree: float = 2.0
    prior_disagree: float = 1.0

    def __post_init__(self) -> None:
        least = min(self.min_agreement, self.min_claims_agreement)
        most = max(self.min_agreement, self.min_claims_agreement)
        if least < 0 or most > 1 or min(self.prior_agree, self.prior_disagree) <= 0:
            raise ConfigError(
                "trust: min_agreement and min_claims_agreement must be in [0, 1] and the prior "
                f"> 0, got {self.min_agreement}, {self.min_claims_agreement}, "
                f"{self.prior_agree}, {self.prior_disagree}"
            )


@dataclass(frozen=True, kw_only=True)
class InfluenceRules:
    """How much one rater, or a few new accounts, may weigh.

    Attributes:
        per_day: role -> explicit signals of one rater on one day that count in full; more of them
            share that weight. A role that is not named has no limit.
        burst_roles: whose signals are searched for bursts.
        burst_hours: the length of a window; windows overlap by half.
        burst_votes: signals below which no window is a burst.
        burst_heavy: signals of one account in a window from which it is one of few.
        burst_new_hours: how long an account is new.
        burst_share: share of one direction from which a window is one-sided.
        burst_excess: how many times the usual number is still usual.
        burst_alarm: probability below which more than that is a burst.
    """

    per_day: Mapping[Role, int] = field(
        default_factory=lambda: {Role.CUSTOMER: 50, Role.AGENT: 2000, Role.REVIEWER: 2000}
    )
    burst_roles: tuple[Role, ...] = (Role.CUSTOMER,)
    burst_hours: float = 1.0
    burst_votes: int = 12
    burst_heavy: int = 10
    burst_new_hours: float = 24.0
    burst_share: float = 0.9
    burst_excess: float = 3.0
    burst_alarm: float = 1e-6


@dataclass(frozen=True, kw_only=True)
class LabelRules:
    """How labels are made; every number of it.

    Attributes:
        rules: who reads what, the first match counts.
        min_probability: least probability of a label, in [0, 1].
        min_contradicted: the same where the evidence points both ways.
        min_reviewed: reviewed labels from which probabilities are recalibrated.
        spread: over how many wrong values errors spread; fewer than there are, because people make
            the same errors, and attackers agree on them.
        trust, influence, text: see there.
    """

    rules: tuple[Rule, ...] = DEFAULTS
    min_probability: float = 0.51
    min_contradicted: float = 0.75
    min_reviewed: int = 100
    spread: float = 3.0
    trust: TrustRules = field(default_factory=TrustRules)
    influence: InfluenceRules = field(default_factory=InfluenceRules)
    text: TextRules = field(default_factory=TextRules)

    def __post_init__(self) -> None:
        for name in ("min_probability", "min_contradicted"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"labels.{name} must be in [0, 1], got {getattr(self, name)}")
        ids = [r.id for r in self.rules]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ConfigError(f"labels.rules must differ in id, got {', '.join(twice)} twice")

    def rule(self, rule_id: str) -> Rule:
        """Returns a rule by its id, which must exist."""
        return next(r for r in self.rules if r.id == rule_id)

    def find(self, signal: Signal, role: Role, name: str | None) -> Rule | None:
        """Returns the rule that reads such a signal, or None where it was switched off."""
        return next((r for r in self.rules if r.reads(signal, role, name)), None)

    def changed(self, changes: Mapping[str, Json]) -> LabelRules:
        """Returns these rules with those of a config; see :func:`changed_rules`.

        Raises:
            ConfigError: every change that does not hold.
        """
        return replace(self, rules=changed_rules(self.rules, changes))
