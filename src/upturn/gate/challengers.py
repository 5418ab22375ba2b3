"""Several challengers at one look: each may be promoted, and all together err with one alpha.

By Holm's step-down (see ``holm``) the smallest of m p-values is held against alpha / m, the next
against alpha / (m - 1), and so on up to the first that is too large; that one and all after it are
not rejected. The challengers share the champion's rows, so their tests depend on each other, which
Holm's bound allows. Raising one p-value lowers none of the adjusted ones, so a failed row of one
challenger helps none of them.

A design in stages has no single p-value to step down by: there each challenger gets alpha / m and
stops on its own, which the union bound covers (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from upturn.gate.report import GateReport, Rival
from upturn.gate.rules import GateRules
from upturn.gate.sequence import Decided, Holdout, RunStage, decide_in_stages
from upturn.gate.told import Told
from upturn.records import Evaluation, Look, Verdict

_ORDER = (Verdict.PROMOTE, Verdict.INCONCLUSIVE, Verdict.HOLD)


def decide_among(
    runs: Sequence[RunStage],
    holdout: Holdout,
    *,
    rules: GateRules,
    look: Look,
    told: Sequence[Told],
    seed: int = 0,
) -> tuple[Decided, ...]:
    """Decides on several challengers that ran on the same rows, under one look.

    Each gets a whole report, decided at its own level; the report's ``alpha`` is that level, and
    its ``rivals`` are the others. With one challenger this is ``decide_in_stages``.

    Args:
        runs: for each challenger what runs it, and the champion, on the rows of some groups; asked
            once for the same groups. All of them must give the same rows of the champion.
        holdout: as for ``decide_in_stages``.
        rules: as for ``decide_in_stages``.
        look: the one look, with the error level of all challengers together.
        told: for each challenger what is known besides the rows.
        seed: as for ``decide``.

    Returns:
        One decision for each challenger, in the order given; ``preferred`` says which one counts.

    Raises:
        DataError, ConfigError: as ``decide``.
    """
    m, once = len(runs), [_kept(run) for run in runs]

    def at(i: int, level: float) -> Decided:
        own = replace(look, alpha=level)
        return decide_in_stages(once[i], holdout, rules=rules, look=own, seed=seed, told=told[i])

    found = [at(i, look.alpha / m) for i in range(m)]
    if m == 1:
        return tuple(found)
    if rules.design.name == "fixed":
        p_values = [1.0 if f.report.p_value is None else f.report.p_value for f in found]
        levels = step_down(p_values, look.alpha)
        found = [
            f if level == f.report.alpha else at(i, level)
            for i, (f, level) in enumerate(zip(found, levels, strict=True))
        ]
    shown = [rival_of(f.report) for f in found]
    return tuple(
        replace(f, report=replace(f.report, rivals=(*shown[:i], *shown[i + 1 :])))
        for i, f in enumerate(found)
    )


def step_down(p_values: Sequence[float], alpha: float) -> tuple[float, ...]:
    """Returns the error level that each p-value is held against, in the order given.

    From the first one that is not rejected on the levels stay: those after it are no smaller and
    fail the same level. A p-value is at or below its level where its adjusted one, of ``holm``, is
    at or below alpha.
    """
    levels, rejecting, level = [0.0] * len(p_values), True, 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if rejecting:
            level = alpha / (len(p_values) - rank)
        levels[i] = level
        rejecting = rejecting and p_values[i] <= level
    return tuple(levels)


def preferred(reports: Sequence[GateReport]) -> int:
    """Returns the index of the report that counts for the turn.

    The largest gain of those that say PROMOTE; where none does, the largest of those that are not
    settled, then of the rest. Of equals the smaller id.
    """

    def place(i: int) -> tuple[int, float, str]:
        report = reports[i]
        effect = -1.0 if report.effect is None else report.effect
        return _ORDER.index(report.verdict), -effect, report.challenger_id

    return min(range(len(reports)), key=place)


def rival_of(report: GateReport) -> Rival:
    """Returns what another challenger's report tells of this one."""
    return Rival(
        candidate_id=report.challenger_id,
        verdict=report.verdict,
        effect=report.effect,
        low=report.low,
        high=report.high,
        p_value=report.p_value,
        alpha=report.alpha,
        score=report.challenger_score,
        reason=report.reasons[0] if report.reasons else "",
    )


def _kept(run: RunStage) -> RunStage:
    """Returns the same, which runs no group twice: what was run once is given again."""
    known: dict[frozenset[str], tuple[Evaluation, Evaluation]] = {}

    def again(groups: frozenset[str]) -> tuple[Evaluation, Evaluation]:
        if groups not in known:
            known[groups] = run(groups)
        return known[groups]

    return again
