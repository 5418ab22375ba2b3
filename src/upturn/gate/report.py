"""The record of one decision: every number that the verdict rests on, JSON-ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from upturn.records import Evaluation, FailureKind, Json, Outcome, Verdict


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What became of one side's rows."""

    scored: int
    unscored: int
    failed: int
    failures: Mapping[str, int]

    @classmethod
    def of(cls, evaluation: Evaluation) -> Counts:
        kinds = {kind.value: evaluation.failures(kind) for kind in FailureKind}
        return cls(
            scored=evaluation.count(Outcome.SCORED),
            unscored=evaluation.count(Outcome.UNSCORED),
            failed=evaluation.count(Outcome.FAILED),
            failures={k: n for k, n in kinds.items() if n},
        )


@dataclass(frozen=True, kw_only=True)
class GuardResult:
    """One guard's finding. ``None`` means that the value could not be measured."""

    name: str
    baseline: float | None
    challenger: float | None
    limit: float | None
    ok: bool
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class SliceResult:
    """The comparison on the compared rows of one slice, e.g. ``name="lang=de"``."""

    name: str
    n: int
    baseline: float
    challenger: float

    @property
    def effect(self) -> float:
        return self.challenger - self.baseline


@dataclass(frozen=True, kw_only=True)
class Repair:
    """How much of the gain is repaired format.

    Attributes:
        rows: compared rows whose format the baseline broke and the challenger did not.
        gain: their share of the effect (same denominator, so ``effect - gain`` is the rest).
        both_answered: compared rows on which neither side failed.
        effect_both_answered: mean difference on those rows, or None where there are none.
        format_only: there is a gain, and nothing of it is left without the repaired rows.
    """

    rows: int
    gain: float
    both_answered: int
    effect_both_answered: float | None
    format_only: bool


@dataclass(frozen=True, kw_only=True)
class Staged:
    """How far a design that looks in stages had to go.

    Attributes:
        design: its name.
        stages, stages_run: looks that were planned, and those that were needed.
        rows_planned, rows_saved: rows of the holdout, and those that neither side had to run.
        calls_saved: model calls that these would have taken on both sides, at the mean of the
            rows that were run; 0 where rows do not say what they called.
        level: the error that may be spent by the last stage that was run.
        boundaries: z values of the stages, where the design has any; None where none is enough.
        futile: it stopped because the rest could hardly have changed the answer.
    """

    design: str
    stages: int
    stages_run: int
    rows_planned: int
    rows_saved: int
    calls_saved: int
    level: float
    boundaries: tuple[float | None, ...] = ()
    futile: bool = False


@dataclass(frozen=True, kw_only=True)
class GateReport:
    """One decision.

    Attributes:
        verdict: PROMOTE, HOLD or INCONCLUSIVE.
        reasons: sentences that say why, the deciding one first.
        effect: mean difference challenger - baseline over the compared rows; None where none is.
        low, high: interval for the effect at ``confidence``; its lower end and the test agree.
        confidence: two-sided level, ``1 - 2 * alpha``.
        p_value: one-sided, of "the challenger is no better"; ``test`` names how it was computed.
        n, groups: rows compared and the groups they fall in; ``rows``: rows that were run.
        holdout, turn, look, alpha: the reading of the holdout and the error level it may spend.
        baseline_score, challenger_score: means over the compared rows, so they differ by
            ``effect``; a row that the challenger did not answer counts 0.
        rows_needed: size of a fresh holdout on which a gain of the size seen would be decided with
            the rules' power; None where the verdict is final or no number of rows would help.
        repair: what part of the gain is repaired format.
        guards, slices: what must not get worse, and every slice's comparison.
        staged: how far a design of several stages went; None where all rows are one look.
        effective_rows: rows of equal weight that would say as much (Kish 1965), where rows have
            weights; then effect and scores are weighted means. None where all count the same.
        notices: what must be read before the verdict.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    effect: float | None
    low: float | None
    high: float | None
    confidence: float
    p_value: float | None
    test: str
    n: int
    groups: int
    rows: int
    holdout: str
    turn: str
    look: int
    alpha: float
    baseline_id: str
    challenger_id: str
    baseline_score: float | None
    challenger_score: float | None
    baseline_counts: Counts
    challenger_counts: Counts
    rows_needed: int | None
    repair: Repair
    guards: tuple[GuardResult, ...]
    slices: tuple[SliceResult, ...]
    staged: Staged | None = None
    effective_rows: float | None = None
    notices: tuple[str, ...] = ()

    @property
    def allowed(self) -> float:
        """What the p-value is held against: of a look in stages, what may be spent by now."""
        return self.alpha if self.staged is None else min(self.alpha, self.staged.level)

    def to_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> GateReport:
        """Reads what ``to_json`` wrote, also after a round trip through a JSON file."""
        staged = value.get("staged")
        made: dict[str, Any] = {
            "staged": _staged(staged) if staged else None,
            "verdict": Verdict(value["verdict"]),
            "reasons": tuple(value["reasons"]),
            "baseline_counts": Counts(**value["baseline_counts"]),
            "challenger_counts": Counts(**value["challenger_counts"]),
            "repair": Repair(**value["repair"]),
            "guards": tuple(GuardResult(**g) for g in value["guards"]),
            "slices": tuple(SliceResult(**s) for s in value["slices"]),
            "notices": tuple(value.get("notices", ())),
        }
        return cls(**{**value, **made})


def _staged(value: Mapping[str, Json]) -> Staged:
    made: dict[str, Any] = {**value, "boundaries": tuple(value["boundaries"])}
    return Staged(**made)
