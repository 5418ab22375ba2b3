"""All that a verdict may look at, gathered from the rows of both sides."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from upturn.gate.designs.base import Asked, Interim, Plan
from upturn.gate.guards import judge
from upturn.gate.pairing import Compared, compare, lost_rows
from upturn.gate.replicates import every_run
from upturn.gate.report import GuardResult, SliceResult, Staged
from upturn.gate.rules import GateRules
from upturn.gate.slices import judge_slices, slice_results
from upturn.gate.spending import first_level
from upturn.gate.statistics import Clusters, cluster_in
from upturn.records import Evaluation, Look


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Which part of a holdout some rows are, and what they weigh.

    Attributes:
        plan: the holdout's groups in the order in which they are run.
        stages_run: the rows are those of its first stages.
        weights: example id -> weight, with a mean of 1 over the holdout; None where all rows count
            the same.
    """

    plan: Plan
    stages_run: int
    weights: Mapping[str, float] | None = None

    @classmethod
    def whole(cls, evaluation: Evaluation) -> Sample:
        """Rows that are all there is, in one stage."""
        sizes = Counter(r.group for r in evaluation.rows)
        order = tuple(sorted(sizes))
        plan = Plan(order=order, sizes=tuple(float(sizes[n]) for n in order), cuts=(len(order),))
        return cls(plan=plan, stages_run=1)

    def clusters(self, compared: Sequence[Compared]) -> Clusters | None:
        """Sums the rows by group, in the plan's order; None where nothing is to be compared."""
        found = cluster_in(
            self.plan.order[: self.plan.cuts[self.stages_run - 1]],
            [c.difference for c in compared],
            [c.baseline_row.group for c in compared],
            [c.weight for c in compared],
        )
        return found if found.sizes.any() else None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a verdict rests on.

    Attributes:
        rules, look: what must be shown, and the error that may be spent.
        rows: rows that were run; lost: those that the world took from either side.
        compared: rows with a score from the champion.
        slices: the comparison slice by slice.
        level: error level of the interval: the look's, or a first look's where that is spent.
        clusters, interim, interval: sums by group, the design's finding and the effect's limits;
            None where nothing is to be compared.
        guards: what must not get worse.
        staged: how far the design had to go, where it has stages.
        effective_rows: Kish's effective sample size, where rows have weights.
    """

    rules: GateRules
    look: Look
    rows: int
    lost: int
    compared: tuple[Compared, ...]
    slices: tuple[SliceResult, ...]
    level: float
    clusters: Clusters | None
    interim: Interim | None
    interval: tuple[float, float] | None
    guards: tuple[GuardResult, ...]
    staged: Staged | None
    effective_rows: float | None


def gather(
    baseline: Evaluation,
    challenger: Evaluation,
    *,
    rules: GateRules,
    look: Look,
    seed: int,
    told: Sequence[GuardResult],
    sample: Sample,
) -> Evidence:
    """Gathers the evidence; the arguments are those of ``decide``.

    Raises:
        DataError: the two did not run on the same examples, or a score is no score.
    """
    compared = compare(baseline, challenger, sample.weights)
    asked = asked_of(rules, look, seed)
    clusters = sample.clusters(compared)
    found = slice_results(compared, draws=rules.draws, seed=seed)
    interim = rules.design.look(clusters, sample.plan, asked) if clusters else None
    return Evidence(
        rules=rules,
        look=look,
        rows=len(baseline.rows),
        lost=lost_rows(baseline, challenger),
        compared=compared,
        slices=found,
        level=asked.alpha,
        clusters=clusters.present if clusters else None,
        interim=interim,
        interval=interim.limits() if interim else None,
        guards=(
            *_judged(baseline, challenger, rules, seed=seed),
            *judge_slices(found, rules.guards),
            *told,
        ),
        staged=_staged((baseline, challenger), sample, rules.design.name, interim),
        effective_rows=_effective(compared) if sample.weights else None,
    )


def foreseen(
    baseline: Evaluation, challenger: Evaluation, *, rules: GateRules, seed: int, share: float
) -> tuple[GuardResult, ...]:
    """Returns the guards that the whole holdout would have if the rest were like the rows so far.

    Each group is taken as often as it takes to fill the holdout. A guard that is within its margin
    stays so, and one that is beyond it becomes as sure as it would be at the end.

    Args:
        baseline, challenger, rules, seed: as for ``gather``.
        share: of the holdout's rows that were run, in (0, 1].
    """
    copies = math.ceil(1 / share - 1e-9)
    guards = replace(
        rules.guards,
        measured_min_rows=math.ceil(rules.guards.measured_min_rows / copies),
        slice_min_rows=math.ceil(rules.guards.slice_min_rows / copies),
    )
    rules = replace(rules, guards=guards)
    compared = compare(baseline, challenger)
    found = slice_results(compared, draws=rules.draws, seed=seed, copies=copies)
    return (
        *_judged(baseline, challenger, rules, seed=seed, copies=copies),
        *judge_slices(found, guards),
    )


def _judged(
    baseline: Evaluation, challenger: Evaluation, rules: GateRules, *, seed: int, copies: int = 1
) -> tuple[GuardResult, ...]:
    sides = (every_run(baseline), every_run(challenger))
    return judge(*sides, rules.guards, draws=rules.draws, seed=seed, copies=copies)


def asked_of(rules: GateRules, look: Look, seed: int) -> Asked:
    """Returns what a design is asked at a look; a first look's level where that is spent."""
    level = look.alpha or first_level(rules.alpha)
    return Asked(alpha=level, min_gain=rules.min_gain, draws=rules.draws, seed=seed)


def _staged(
    sides: tuple[Evaluation, Evaluation], sample: Sample, design: str, interim: Interim | None
) -> Staged | None:
    plan = sample.plan
    if len(plan.cuts) == 1:
        return None
    # Weights have a mean of 1, so that sizes sum to rows.
    planned, run = round(sum(plan.sizes)), len(sides[0].rows)
    calls = sum(r.calls for side in sides for r in side.rows)
    bounds = interim.boundaries if interim else ()
    return Staged(
        design=design,
        stages=len(plan.cuts),
        stages_run=sample.stages_run,
        rows_planned=planned,
        rows_saved=planned - run,
        calls_saved=round(calls / run * (planned - run)) if run else 0,
        level=interim.level if interim else 0.0,
        boundaries=tuple(z if math.isfinite(z) else None for z in bounds),
        futile=interim is not None and interim.futile,
    )


def _effective(compared: Sequence[Compared]) -> float:
    """(sum w)² / sum w² (Kish 1965, "Survey sampling")."""
    squares = sum(c.weight**2 for c in compared)
    return sum(c.weight for c in compared) ** 2 / squares if squares else 0.0
