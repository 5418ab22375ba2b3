"""What a challenger must show before it may be promoted."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from upturn.errors import ConfigError
from upturn.gate.designs.base import Design
from upturn.gate.designs.fixed import FixedDesign


@dataclass(frozen=True, kw_only=True)
class Guards:
    """What must not get worse, whatever the gain. Each limit is the larger of its two forms.

    A guard is a test: it is broken where the harm seen is beyond its limit *and* "no harm" is
    rejected at ``level``, by the gate's own paired test (see ``noninferiority``).

    Attributes:
        level: one-sided error level of each guard but slices.
        slice_level: one-sided error level of all slices of a family together. It is larger, since
            Holm's correction gives each of many slices but a part of it.
        failure_rate_margin: how far the share of failed rows, or of rows without a score, may rise.
        failure_rate_cap: a challenger that fails more than this share of its rows is never
            promoted, sure or not, even against a champion that fails as often.
        p95_latency_ratio, p95_latency_slack_s: the 95th percentile of a row's time may rise to
            ``ratio`` times the champion's, or by ``slack`` seconds.
        cost_ratio, cost_slack_usd: the same for the mean cost of a row.
        output_tokens_ratio, output_tokens_slack: the same for the mean length of a row's answers.
        slice_margin: how far the score of a slice may fall.
        slice_min_rows: slices with fewer compared rows are shown and not judged.
        automatic_slices: judge slices that nobody named, too (see ``automatic``).
        measured_min_rows: latency, cost and length are judged from this many rows on; the 95th
            percentile of fewer is just the slowest row.
        forgetting_level: the one-sided p from which a fall at another task counts as one; how far
            it may fall is the task's own margin (see ``forgotten``).
    """

    level: float = 0.05
    slice_level: float = 0.1
    failure_rate_margin: float = 0.02
    failure_rate_cap: float = 0.2
    p95_latency_ratio: float = 2.0
    p95_latency_slack_s: float = 0.25
    cost_ratio: float = 1.5
    cost_slack_usd: float = 0.0001
    output_tokens_ratio: float = 2.0
    output_tokens_slack: float = 200.0
    slice_margin: float = 0.05
    slice_min_rows: int = 20
    automatic_slices: bool = True
    measured_min_rows: int = 20
    forgetting_level: float = 0.05

    def __post_init__(self) -> None:
        broken = [f"guards.{k} must be >= 0, got {v}" for k, v in asdict(self).items() if v < 0]
        for name, level in (("level", self.level), ("slice_level", self.slice_level)):
            if not 0 < level < 0.5:
                broken.append(f"guards.{name} must be in (0, 0.5), got {level}")
        if broken:
            raise ConfigError("; ".join(broken))


@dataclass(frozen=True, kw_only=True)
class GateRules:
    """The rules of one gate.

    Attributes:
        min_gain: the smallest gain in score that is worth a release.
        alpha: one-sided error level for *all* looks at one holdout together; see ``spending``.
        max_outage_share: with a larger share of rows lost to the world (outage, budget) on either
            side, there is no verdict.
        power: the chance of PROMOTE that ``rows_needed`` plans for.
        draws: random subsets behind the interval and behind the test of graded scores.
        design: when the rows are looked at, and how the error is spent over these stages.
        guards: what must not get worse.
        row_cost_calls: what a fresh holdout row is worth, in model calls: what ``replicates``
            weighs further runs of a row against. It changes no verdict.
    """

    min_gain: float = 0.0
    alpha: float = 0.05
    max_outage_share: float = 0.02
    power: float = 0.8
    draws: int = 20_000
    design: Design = field(default_factory=FixedDesign)
    guards: Guards = field(default_factory=Guards)
    row_cost_calls: float = 10.0

    def __post_init__(self) -> None:
        ranges = (
            ("min_gain", 0 <= self.min_gain < 1, "in [0, 1)"),
            ("alpha", 0 < self.alpha < 0.5, "in (0, 0.5)"),
            ("max_outage_share", 0 <= self.max_outage_share < 1, "in [0, 1)"),
            ("power", 0.5 <= self.power < 1, "in [0.5, 1)"),
            ("draws", self.draws >= 1000, ">= 1000"),
            ("row_cost_calls", self.row_cost_calls >= 0, ">= 0"),
        )
        broken = [f"{k} must be {rule}, got {getattr(self, k)}" for k, ok, rule in ranges if not ok]
        if broken:
            raise ConfigError("; ".join(broken))
