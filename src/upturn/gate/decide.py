"""From two evaluations to one verdict. Pure: no clock, no disk, no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from upturn.errors import ConfigError
from upturn.gate.forgotten import NAME as FORGETTING
from upturn.gate.forgotten import OtherTask, judge_others
from upturn.gate.guards import judge
from upturn.gate.pairing import Compared, compare, lost_rows, repair, slices
from upturn.gate.power import rows_needed
from upturn.gate.report import Counts, GateReport, GuardResult, Repair, SliceResult
from upturn.gate.rules import GateRules
from upturn.gate.spending import look_alpha
from upturn.gate.statistics import Clusters, Finding, analyse, cluster
from upturn.records import Evaluation, Look, Verdict


@dataclass(frozen=True, kw_only=True)
class _Evidence:
    """All that a verdict may look at."""

    rules: GateRules
    look: Look
    rows: int
    lost: int
    compared: tuple[Compared, ...]
    slices: tuple[SliceResult, ...]
    level: float  # error level of the interval: the look's, or a first look's where that is spent
    clusters: Clusters | None
    finding: Finding | None
    guards: tuple[GuardResult, ...]


def decide(
    baseline: Evaluation,
    challenger: Evaluation,
    *,
    rules: GateRules,
    look: Look,
    seed: int = 0,
    others: Sequence[OtherTask] = (),
) -> GateReport:
    """Decides whether the challenger may replace the champion.

    Args:
        baseline: the champion, run on the holdout now.
        challenger: the challenger on the same examples.
        rules: what it must show.
        look: this reading of the holdout, as the ledger recorded it.
        seed: seed of the random subsets; the same input and seed give the same report.
        others: what the challenger's adapter does to other tasks; each becomes a guard.

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
    evidence = _gather(baseline, challenger, rules, look, seed, others)
    return _report(baseline, challenger, evidence)


def _gather(
    baseline: Evaluation,
    challenger: Evaluation,
    rules: GateRules,
    look: Look,
    seed: int,
    others: Sequence[OtherTask],
) -> _Evidence:
    compared = compare(baseline, challenger)
    clusters = _clusters(compared)
    level = look.alpha or look_alpha(rules.alpha, 1)
    found = slices(compared)
    return _Evidence(
        rules=rules,
        look=look,
        rows=len(baseline.rows),
        lost=lost_rows(baseline, challenger),
        compared=compared,
        slices=found,
        level=level,
        clusters=clusters,
        finding=analyse(clusters, alpha=level, draws=rules.draws, seed=seed) if clusters else None,
        guards=(
            *judge(baseline, challenger, found, rules.guards),
            *judge_others(others, rules.guards, seed=seed),
        ),
    )


def _report(baseline: Evaluation, challenger: Evaluation, e: _Evidence) -> GateReport:
    verdict, reasons = _verdict(e)
    mended = repair(e.compared)
    return GateReport(
        verdict=verdict,
        reasons=(*reasons, *_remarks(e, mended)),
        effect=e.clusters.effect if e.clusters else None,
        low=e.finding.low if e.finding else None,
        high=e.finding.high if e.finding else None,
        confidence=1 - 2 * e.level,
        p_value=e.finding.p_value if e.finding else None,
        test=e.finding.test if e.finding else "none",
        n=len(e.compared),
        groups=len(e.clusters.sizes) if e.clusters else 0,
        rows=e.rows,
        holdout=e.look.holdout,
        turn=e.look.turn,
        look=e.look.number,
        alpha=e.look.alpha,
        baseline_id=baseline.candidate_id,
        challenger_id=challenger.candidate_id,
        baseline_score=_mean([c.baseline for c in e.compared]),
        challenger_score=_mean([c.challenger for c in e.compared]),
        baseline_counts=Counts.of(baseline),
        challenger_counts=Counts.of(challenger),
        rows_needed=_rows_needed(e) if verdict is Verdict.INCONCLUSIVE else None,
        repair=mended,
        guards=e.guards,
        slices=e.slices,
    )


def _verdict(e: _Evidence) -> tuple[Verdict, tuple[str, ...]]:
    """The order matters: what makes the numbers unusable comes before what they say."""
    unusable = _unusable(e)
    if unusable or e.clusters is None or e.finding is None:
        return Verdict.INCONCLUSIVE, unusable
    against = _against(e, e.clusters.effect, e.finding.high)
    if against:
        return Verdict.HOLD, against
    effect = e.clusters.effect
    if not _beyond_chance(e):
        return Verdict.INCONCLUSIVE, (
            f"The gain of {effect:+.3f} may be chance: at least {e.finding.low:+.3f}, "
            f"p = {e.finding.p_value:.4f} where this look allows {e.look.alpha:.4f}.",
        )
    return Verdict.PROMOTE, (
        f"The challenger is better by {effect:+.3f} (at least {e.finding.low:+.3f}), beyond chance "
        f"(p = {e.finding.p_value:.4f} <= {e.look.alpha:.4f}), and every guard holds.",
    )


def _unusable(e: _Evidence) -> tuple[str, ...]:
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


def _against(e: _Evidence, effect: float, high: float) -> tuple[str, ...]:
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


def _remarks(e: _Evidence, mended: Repair) -> tuple[str, ...]:
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


def _clusters(compared: Sequence[Compared]) -> Clusters | None:
    if not compared:
        return None
    return cluster([c.difference for c in compared], [c.baseline_row.group for c in compared])


def _beyond_chance(e: _Evidence) -> bool:
    # The two agree but for the noise of the draws; where they do not, the cautious one counts.
    return e.finding is not None and e.finding.p_value <= e.look.alpha and e.finding.low > 0


def _rows_needed(e: _Evidence) -> int | None:
    return rows_needed(e.clusters, e.rules) if e.clusters is not None else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
