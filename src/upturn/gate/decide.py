"""From two evaluations to one verdict. Pure: no clock, no disk, no model."""

from __future__ import annotations

import math
from dataclasses import replace

from upturn.errors import ConfigError
from upturn.gate.evidence import Evidence, Sample, gather
from upturn.gate.forgotten import NAME as FORGETTING
from upturn.gate.pairing import repair, weighted_mean
from upturn.gate.people import check_people
from upturn.gate.power import analyse_power
from upturn.gate.power_analysis import PowerAnalysis
from upturn.gate.replicates import every_run, noise_of
from upturn.gate.report import Counts, GateReport, GuardResult, Repair
from upturn.gate.rules import GateRules
from upturn.gate.told import NOTHING, Told
from upturn.records import Evaluation, Look, Verdict


def decide(
    baseline: Evaluation,
    challenger: Evaluation,
    *,
    rules: GateRules,
    look: Look,
    seed: int = 0,
    told: Told = NOTHING,
    sample: Sample | None = None,
) -> GateReport:
    """Decides whether the challenger may replace the champion.

    Args:
        baseline: the champion, run on the holdout now.
        challenger: the challenger on the same examples.
        rules: what it must show.
        look: this reading of the holdout, as the ledger recorded it.
        seed: seed of the random subsets; the same input and seed give the same report.
        told: guards that were judged on other rows, and notices.
        sample: which part of the holdout these rows are, and what they weigh; None where they are
            all there is, and count the same.

    Returns:
        The report. PROMOTE: the gain is beyond chance at the look's error level, at least
        ``min_gain``, and no guard stands against it. HOLD: a guard does, or the gain seen is
        below ``min_gain``. INCONCLUSIVE: a gain worth a release is seen, and may be chance.
        Turning a challenger row into a failure never turns another verdict into PROMOTE; where
        people's scores are told, that holds of the judge's part, and not of the check on it.

    Raises:
        DataError: the two did not run on the same examples, or a score is no score.
        ConfigError: the look may spend more than the rules allow for all looks together.
    """
    if look.alpha > rules.alpha:
        raise ConfigError(
            f"a look may spend at most the gate's alpha {rules.alpha}, got {look.alpha}",
            fix="start a new turn: this one was opened under other rules",
        )
    known = sample or Sample.whole(baseline)
    evidence = gather(
        baseline, challenger, rules=rules, look=look, seed=seed, told=told.guards, sample=known
    )
    report = _report(baseline, challenger, evidence, told.rows_per_day)
    report = replace(report, notices=told.notices)
    return check_people(
        report, evidence.compared, rules, part=told.human_part, level=evidence.level
    )


def _report(
    baseline: Evaluation, challenger: Evaluation, e: Evidence, rows_per_day: float | None
) -> GateReport:
    verdict, reasons = _verdict(e)
    mended = repair(e.compared)
    power = _power(e, rows_per_day) if verdict is Verdict.INCONCLUSIVE else None
    return GateReport(
        verdict=verdict,
        reasons=(*reasons, *([power.sentence] if power else ()), *_remarks(e, mended)),
        effect=e.clusters.effect if e.clusters else None,
        low=e.interval[0] if e.interval else None,
        high=e.interval[1] if e.interval else None,
        confidence=1 - 2 * e.level,
        p_value=e.interim.p_value if e.interim else None,
        test=e.interim.test if e.interim else "none",
        n=len(e.compared),
        groups=len(e.clusters.sizes) if e.clusters else 0,
        rows=e.rows,
        holdout=e.look.holdout,
        turn=e.look.turn,
        look=e.look.number,
        alpha=e.look.alpha,
        baseline_id=baseline.candidate_id,
        challenger_id=challenger.candidate_id,
        baseline_score=weighted_mean((c.baseline, c.weight) for c in e.compared),
        challenger_score=weighted_mean((c.challenger, c.weight) for c in e.compared),
        baseline_counts=Counts.of(every_run(baseline)),
        challenger_counts=Counts.of(every_run(challenger)),
        rows_needed=power.rows if power else None,
        repair=mended,
        guards=e.guards,
        slices=e.slices,
        staged=e.staged,
        effective_rows=e.effective_rows,
        standard_error=math.sqrt(e.clusters.variance) if e.clusters else None,
        noise=noise_of(e.compared, row_cost_calls=e.rules.row_cost_calls),
        power=power,
    )


def _verdict(e: Evidence) -> tuple[Verdict, tuple[str, ...]]:
    """The order matters: what makes the numbers unusable comes before what they say."""
    unusable = _unusable(e)
    if unusable or e.clusters is None or e.interim is None or e.interval is None:
        return Verdict.INCONCLUSIVE, unusable
    against = _against(e, e.clusters.effect, e.interval[1])
    if against:
        return Verdict.HOLD, against
    effect, low = e.clusters.effect, e.interval[0]
    if not e.interim.rejects:
        return Verdict.INCONCLUSIVE, (
            f"The gain of {effect:+.3f} may be chance: at least {low:+.3f}, "
            f"{_p_value(e.interim.p_value)} where this look allows {e.interim.level:.4f}.",
        )
    return Verdict.PROMOTE, (
        f"The challenger is better by {effect:+.3f} (at least {low:+.3f}), beyond chance "
        f"({_p_value(e.interim.p_value)}, allowed {e.interim.level:.4f}), and every guard holds.",
    )


def _p_value(value: float) -> str:
    """No p-value is 0: below four digits it is said to be below."""
    return "p < 0.0001" if value < 1e-4 else f"p = {value:.4f}"


def _unusable(e: Evidence) -> tuple[str, ...]:
    reasons: list[str] = []
    if e.clusters is None:
        reasons.append(f"None of the {e.rows} rows has a score from the champion to compare with.")
    if e.lost > e.rules.max_outage_share * e.rows:
        reasons.append(
            f"{e.lost} of {e.rows} rows were lost to outages or budget, more than the share of "
            f"{e.rules.max_outage_share} that a verdict may rest on: run the turn again."
        )
    if e.look.alpha <= 0:
        reasons.append(
            f"This is look {e.look.number} at the same holdout and its error budget is spent: "
            "make a new snapshot with fresh data."
        )
    return tuple(reasons)


def _against(e: Evidence, effect: float, high: float) -> tuple[str, ...]:
    reasons = [_broken(g) for g in e.guards if not g.ok]
    if effect <= 0:
        reasons.append(f"The challenger is not better: {effect:+.3f}.")
    elif effect < e.rules.min_gain:
        reach = "up to" if high >= e.rules.min_gain else "not even"
        reasons.append(
            f"The gain seen, {effect:+.3f}, is below min_gain {e.rules.min_gain}, the smallest "
            f"worth a release ({reach} {high:+.3f} is plausible)."
        )
    return tuple(reasons)


def _broken(guard: GuardResult) -> str:
    values = (
        "no value" if v is None else f"{v:.4g}"
        for v in (guard.challenger, guard.baseline, guard.limit)
    )
    rival = "the base's" if guard.name.startswith(FORGETTING) else "the champion's"
    text = "Guard broken: {name}: {} against {rival} {} (limit {})".format(
        *values, name=guard.name, rival=rival
    )
    over = f" over {guard.n} rows" if guard.n is not None else ""
    tested = "" if guard.p_value is None else f"one-sided p = {guard.p_value:.2g}{over}"
    return "; ".join(part for part in (text, tested, guard.note) if part) + "."


def _remarks(e: Evidence, mended: Repair) -> tuple[str, ...]:
    """What a reader must know whatever the verdict."""
    n = len(e.compared)
    remarks: list[str] = []
    if mended.format_only:
        remarks.append(
            f"The gain is only repaired format: {mended.rows} rows that the champion answered in a "
            "broken format make up all of it."
        )
    if e.clusters is not None and not e.clusters.sums.any():
        remarks.append("In every group both score the same in sum.")
    if n < e.rows:
        remarks.append(
            f"{e.rows - n} of {e.rows} rows are left out: the champion has no score there."
        )
    return tuple(remarks)


def _power(e: Evidence, rows_per_day: float | None) -> PowerAnalysis | None:
    if e.clusters is None:
        return None
    share = len(e.compared) / e.rows
    rows = e.staged.rows_planned * share if e.staged else float(e.clusters.sizes.sum())
    return analyse_power(
        e.clusters,
        rows=rows,
        share=share,
        alpha=e.level if e.look.alpha > 0 else 0.0,
        rules=e.rules,
        rows_per_day=rows_per_day,
    )
