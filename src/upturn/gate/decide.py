"""From two evaluations to one verdict. Pure: no clock, no disk, no model."""

from __future__ import annotations

from dataclasses import replace

from upturn.errors import ConfigError
from upturn.gate.evidence import Evidence, Sample, gather
from upturn.gate.forgotten import NAME as FORGETTING
from upturn.gate.pairing import repair, weighted_mean
from upturn.gate.power import rows_needed
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
        Turning a challenger row into a failure never turns another verdict into PROMOTE.

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
    return replace(_report(baseline, challenger, evidence), notices=told.notices)


def _report(baseline: Evaluation, challenger: Evaluation, e: Evidence) -> GateReport:
    verdict, reasons = _verdict(e)
    mended = repair(e.compared)
    return GateReport(
        verdict=verdict,
        reasons=(*reasons, *_remarks(e, mended)),
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
        baseline_counts=Counts.of(baseline),
        challenger_counts=Counts.of(challenger),
        rows_needed=_rows_needed(e) if verdict is Verdict.INCONCLUSIVE else None,
        repair=mended,
        guards=e.guards,
        slices=e.slices,
        staged=e.staged,
        effective_rows=e.effective_rows,
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
            f"p = {e.interim.p_value:.4f} where this look allows {e.interim.level:.4f}.",
        )
    return Verdict.PROMOTE, (
        f"The challenger is better by {effect:+.3f} (at least {low:+.3f}), beyond chance "
        f"(p = {e.interim.p_value:.4f} <= {e.interim.level:.4f}), and every guard holds.",
    )


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
    return f"{text}; {guard.note}." if guard.note else f"{text}."


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


def _rows_needed(e: Evidence) -> int | None:
    return rows_needed(e.clusters, e.rules) if e.clusters is not None else None
