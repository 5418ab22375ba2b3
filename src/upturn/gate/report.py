"""The record of one decision: every number that the verdict rests on, JSON-ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from upturn.gate.power_analysis import PowerAnalysis
from upturn.gate.prediction_powered import Powered
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
    """One guard's finding. ``None`` means that the value could not be measured.

    Attributes:
        name: of the guard.
        baseline, challenger: what was measured; limit: what the challenger may have.
        ok: the guard is not broken.
        note: what else a reader must know.
        p_value: one-sided, of "no harm"; of a slice corrected by Holm over its family. None where
            the guard was not judged by a test, or by one that its note tells of.
        n: rows that it was judged on.
        unit: ``share``, ``s``, ``USD`` or ``tokens``; "" where the name says it.
    """

    name: str
    baseline: float | None
    challenger: float | None
    limit: float | None
    ok: bool
    note: str = ""
    p_value: float | None = None
    n: int | None = None
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class SliceResult:
    """The comparison on the compared rows of one slice, e.g. ``name="lang=de"``.

    ``p_value`` is one-sided, of "no fall", for this slice alone.
    """

    name: str
    n: int
    baseline: float
    challenger: float
    p_value: float | None = None

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
class Rival:
    """Another challenger that was judged at the same look.

    Attributes:
        candidate_id: its id.
        verdict: what the gate made of it; only one challenger of a look is promoted.
        effect, low, high, p_value, score: as in a report of its own.
        alpha: the error level that it was held against.
        reason: the deciding sentence.
    """

    candidate_id: str
    verdict: Verdict
    effect: float | None
    low: float | None
    high: float | None
    p_value: float | None
    alpha: float
    score: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How much of what a look measured is the model's own chance, where rows were run several
    times.

    Attributes:
        replicates: runs of each row on each side.
        baseline_between, baseline_within: variance of the rows' true scores, and of one run about
            its row's; the same for the challenger.
        between, within: the same of the difference challenger - baseline of a row.
        error: standard error of the effect as it was run, rows taken as independent.
        error_twice_rows, error_twice_replicates: what it would be with twice as many of either.
        best_replicates: runs of each row that make the most of a number of calls where a fresh row
            is worth ``row_cost_calls`` of them.
    """

    replicates: int
    baseline_between: float
    baseline_within: float
    challenger_between: float
    challenger_within: float
    between: float
    within: float
    error: float
    error_twice_rows: float
    error_twice_replicates: float
    best_replicates: int
    row_cost_calls: float

    @property
    def sentence(self) -> str:
        """The same in words, for people."""
        share = self.within / self.replicates
        whole = self.between + share
        part = share / whole if whole else 0.0
        return (
            f"Each row was run {self.replicates} times on each side; the model's own chance makes "
            f"up {part:.0%} of the effect's variance. With rows taken as independent its standard "
            f"error is {self.error:.4f}: "
            f"twice the rows would make it {self.error_twice_rows:.4f}, twice the replicates "
            f"{self.error_twice_replicates:.4f}. Where a fresh row is worth "
            f"{self.row_cost_calls:g} calls, {self.best_replicates} replicates use them best."
        )


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
        rows_needed: size of a fresh holdout on which a gain of the size seen would be found with
            the rules' power, as in ``power``; None where the verdict is final or no number of rows
            would help.
        repair: what part of the gain is repaired format.
        guards, slices: what must not get worse, and every slice's comparison.
        staged: how far a design of several stages went; None where all rows are one look.
        effective_rows: rows of equal weight that would say as much (Kish 1965), where rows have
            weights; then effect and scores are weighted means. None where all count the same.
        notices: what must be read before the verdict.
        rivals: the other challengers of the same look; ``alpha`` is then this one's own level.
        noise: the model's own chance, where each row was run several times.
        human: the effect that people would see, where scores are a judge's and people gave some.
        standard_error: of the effect, robust to correlation within groups.
        withheld: scores were taken out (see ``ladder``); the exact report is in the ledger.
        power: what the holdout could find, where the verdict is INCONCLUSIVE.
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
    rivals: tuple[Rival, ...] = ()
    noise: Noise | None = None
    human: Powered | None = None
    standard_error: float | None = None
    withheld: bool = False
    power: PowerAnalysis | None = None

    @property
    def allowed(self) -> float:
        """What the p-value is held against: of a look in stages, what may be spent by now."""
        return self.alpha if self.staged is None else min(self.alpha, self.staged.level)

    def to_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> GateReport:
        """Reads what ``to_json`` wrote, also after a round trip through a JSON file."""
        staged, noise = value.get("staged"), value.get("noise")
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
            "human": Powered(**value["human"]) if value.get("human") else None,
            "rivals": tuple(_rival(r) for r in value.get("rivals", ())),
            "noise": Noise(**noise) if noise else None,
            "power": PowerAnalysis(**value["power"]) if value.get("power") else None,
        }
        return cls(**{**value, **made})


def _staged(value: Mapping[str, Json]) -> Staged:
    made: dict[str, Any] = {**value, "boundaries": tuple(value["boundaries"])}
    return Staged(**made)


def _rival(value: Mapping[str, Json]) -> Rival:
    made: dict[str, Any] = {**value, "verdict": Verdict(value["verdict"])}
    return Rival(**made)
