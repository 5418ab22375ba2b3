"""One look at a holdout in the stages of a design: run a stage, look, stop as soon as one may."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from upturn.gate.decide import decide
from upturn.gate.designs.base import Plan, plan_stages
from upturn.gate.evidence import Sample, asked_of, foreseen
from upturn.gate.pairing import Compared, compare
from upturn.gate.report import GateReport
from upturn.gate.rules import GateRules
from upturn.gate.told import NOTHING, Told
from upturn.records import Evaluation, Look, Verdict

#: Group names of one stage -> champion and challenger on the rows of these groups.
RunStage = Callable[[frozenset[str]], tuple[Evaluation, Evaluation]]


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A decision, the rows of both sides that it took, and which part of the holdout they are."""

    report: GateReport
    baseline: Evaluation
    challenger: Evaluation
    sample: Sample


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """What is known of a holdout before anything is run on it.

    Attributes:
        sizes: group -> its rows, or the sum of their weights.
        weights: example id -> weight, with a mean of 1; None where all rows count the same.
    """

    sizes: Mapping[str, float]
    weights: Mapping[str, float] | None = None


def decide_in_stages(
    run: RunStage,
    holdout: Holdout,
    *,
    rules: GateRules,
    look: Look,
    seed: int = 0,
    told: Told = NOTHING,
) -> Decided:
    """Runs both sides stage by stage and decides as soon as the design says that it may.

    It stops where the verdict is PROMOTE, and where the rest is not worth its calls: the design
    calls it futile, or the look has no error left to spend. A gain that is beyond chance while a
    guard is broken, or would be if the rest were like the rows so far, goes on, because a guard
    says more on more rows. Turning a challenger row into a failure never turns another verdict into
    PROMOTE: at no stage does it make the verdict PROMOTE, and it never keeps a sequence going that
    would have stopped without one.

    Args:
        run: runs both sides on the rows of some groups; called once for each stage, in order.
        holdout: its groups; an empty one is decided without a stage.
        rules: what it takes, and in what design.
        look: the one look that all stages belong to; its alpha is for all of them together.
        seed: as for ``decide``.
        told: as for ``decide``.

    Raises:
        DataError, ConfigError: as ``decide``.
    """
    plan = plan_stages(rules.design, holdout.sizes, look.holdout)
    sides: list[tuple[Evaluation, Evaluation]] = []
    compared: list[Compared] = []
    for number, names in enumerate(plan.stages, start=1):
        sides.append(run(frozenset(names)))
        sample = Sample(plan=plan, stages_run=number, weights=holdout.weights)
        last = number == len(plan.stages) or look.alpha <= 0
        if not last:
            compared += compare(*sides[-1], holdout.weights)
            clusters = sample.clusters(compared)
            if clusters is None:
                continue
            interim = rules.design.look(clusters, plan, asked_of(rules, look, seed))
            if not (interim.rejects or interim.futile):
                continue
            last = interim.futile
        whole = [_joined(own) for own in zip(*sides, strict=True)]
        report = decide(
            *whole,
            rules=rules,
            look=look,
            seed=seed,
            told=told,
            sample=sample,
        )
        if last or (
            report.verdict is Verdict.PROMOTE and _holds_on(whole, plan, number, rules, seed)
        ):
            return Decided(report=report, baseline=whole[0], challenger=whole[1], sample=sample)
    raise AssertionError("a plan has a last stage")


def _holds_on(
    whole: Sequence[Evaluation], plan: Plan, number: int, rules: GateRules, seed: int
) -> bool:
    """Tells whether the guards would hold at the end too, were the rest like the rows so far."""
    guards = foreseen(*whole, rules=rules, seed=seed, share=plan.times[number - 1])
    return all(guard.ok for guard in guards)


def _joined(parts: Sequence[Evaluation]) -> Evaluation:
    return replace(parts[0], rows=tuple(r for part in parts for r in part.rows))
