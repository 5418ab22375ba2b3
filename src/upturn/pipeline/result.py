"""What one turn leaves behind, JSON-ready: the contract of ``upturn run --json`` and of history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class TurnResult:
    """One turn of the loop, as it ended.

    Attributes:
        turn: content id of the question that was asked: config, data, program, champion, model.
        program: the config's name.
        verdict: PROMOTE, HOLD or INCONCLUSIVE.
        effect, low, high: gain on the holdout and its interval, as fractions; None before a gate.
        n: holdout rows behind the effect.
        looks: readings of this holdout so far, this one included.
        calls: model calls paid for by this process; cached_calls: answers that were known already.
        usd, seconds: what this process spent.
        version: registered version that is champion now, or that waits where ``promotion: ask``.
        promoted: whether the champion alias was moved.
        trials: candidates tried.
        baseline_score, challenger_score: on the holdout.
        dev_score: the challenger's score on dev rows it was not chosen on.
        reasons: sentences that explain the verdict.
        snapshot: id of the snapshot.
        report: path of the HTML report.
        repeated: the same question was answered before; this is the recorded answer.
        links: label -> URL of pages worth opening.
        summary: the ten-second summary, as text.
        input_tokens, output_tokens: read and written by the calls paid for.
        quote: number -> low, expected, high (as quoted before the turn) and actual.
    """

    turn: str
    program: str
    verdict: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    looks: int = 0
    calls: int = 0
    cached_calls: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    version: str | None = None
    promoted: bool = False
    trials: int = 0
    baseline_score: float | None = None
    challenger_score: float | None = None
    dev_score: float | None = None
    reasons: tuple[str, ...] = ()
    snapshot: str = ""
    report: str = ""
    repeated: bool = False
    links: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    quote: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "reasons": list(self.reasons)}

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> TurnResult:
        made: dict[str, Json] = {**value, "reasons": tuple(value["reasons"])}
        return cls(**made)

    def again(self, seconds: float) -> TurnResult:
        """The recorded answer, given again: nothing was spent on it now."""
        return replace(self, calls=0, cached_calls=0, usd=0.0, seconds=seconds, repeated=True)
