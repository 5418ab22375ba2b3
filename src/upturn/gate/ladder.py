"""What a look tells people when nothing was promoted: no more than the Ladder lets out.

Whoever reads exact scores look after look, and tries again, fits the holdout by hand: the scores
climb and nothing gets better. The Ladder (Blum and Hardt 2015, "The Ladder: a reliable leaderboard
for machine learning competitions", ICML) answers with the best number so far unless the new one is
better by more than a step, and rounds what it lets out to that step. What it has let out is then
close to the truth for every one of k scores, up to an error that grows with log k only. Without a
parameter the step is the standard error of the difference on this holdout.

Here the score is the effect, challenger less champion on the same rows. The champion has the effect
0, so the first step to be taken is from there. The ladder belongs to one holdout and one champion.
A first look is told as it is: its numbers are what later ones are held against. A PROMOTE is told
as it is, because it is to be checked and explained, and it ends the ladder with a new champion.

What still gets out of a look that promotes nothing: the verdict, how many rows ran, failed and were
left out, which guards held, and that the effect took a step or did not. The exact report is in the
ledger, for who must check the decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from upturn.gate.report import GateReport, GuardResult, Repair, Rival
from upturn.records import Verdict

#: What a withheld report says as it is; a field that is new to the record stays inside.
_KEPT = (
    *("verdict", "confidence", "test", "n", "groups", "rows", "effective_rows", "notices"),
    *("holdout", "turn", "look", "alpha", "baseline_id", "challenger_id"),
    *("baseline_counts", "challenger_counts"),
)
_SCORES = ("low", "high", "p_value", "baseline_score", "challenger_score", "rows_needed")
#: Note of a guard that was judged, and whose values stay inside.
WITHHELD = "withheld"
_NO_REPAIR = Repair(rows=0, gain=0.0, both_answered=0, effect_both_answered=None, format_only=False)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a ladder let out.

    Attributes:
        effect: the best effect that was let out so far, this look's included.
        climbed: this look's effect is better than the best before it by more than a step.
    """

    effect: float
    climbed: bool


def climb(best: float, effect: float | None, error: float | None) -> Step:
    """Takes one look to the ladder.

    Args:
        best: the best effect let out before, 0 at first.
        effect: this look's; None where nothing could be compared.
        error: its standard error, the step; where None or 0 an effect climbs as it is.
    """
    if effect is None or effect <= best + (error or 0.0):
        return Step(effect=best, climbed=False)
    return Step(effect=round(effect / error) * error if error else effect, climbed=True)


def best_released(earlier: Iterable[GateReport], baseline_id: str) -> float:
    """Returns the best effect against a champion that reports at one holdout have let out.

    Args:
        earlier: exact reports of the earlier looks at the holdout, in order.
        baseline_id: the champion.
    """
    best = 0.0
    for report in earlier:
        if report.baseline_id != baseline_id:
            continue
        if is_exact(report):
            best = max(best, report.effect or 0.0)
        else:
            best = climb(best, report.effect, report.standard_error).effect
    return best


def is_exact(report: GateReport) -> bool:
    """Tells whether a report goes out as it is."""
    return report.look == 1 or report.verdict is Verdict.PROMOTE


def released(report: GateReport, best: float) -> GateReport:
    """Returns the report as people and the tracker get it.

    Args:
        report: the exact one.
        best: the best effect that was let out before; see ``best_released``.

    Returns:
        The same report where it is the first look's or says PROMOTE. Otherwise one whose effect is
        the ladder's, without scores, interval, p-value, slices and all else from which the exact
        effect could be told.
    """
    if is_exact(report):
        return report
    step = climb(best, report.effect, report.standard_error)
    closed: dict[str, Any] = {
        **{f.name: f.default for f in fields(GateReport) if f.default is not MISSING},
        **dict.fromkeys(_SCORES),
        **{name: getattr(report, name) for name in _KEPT},
        "reasons": (_reason(report, step),),
        "effect": step.effect if step.climbed else None,
        "repair": _NO_REPAIR,
        "guards": tuple(_closed(g) for g in report.guards),
        "slices": (),
        "rivals": tuple(_veiled(r) for r in report.rivals),
        "withheld": True,
    }
    return GateReport(**closed)


def _reason(report: GateReport, step: Step) -> str:
    broken = ", ".join(g.name for g in report.guards if not g.ok)
    found = (
        f"The best effect seen at this holdout so far: about {step.effect:+.3f}."
        if step.climbed
        else f"No better than {step.effect:+.3f}, the best seen at this holdout before, by more "
        "than its standard error."
    )
    guards = f" Guards broken: {broken}." if broken else ""
    spent = (
        " Its error budget is spent: make a new snapshot with fresh data."
        if report.alpha <= 0
        else ""
    )
    return (
        f"{found}{guards}{spent} This is look {report.look} at the same holdout and nothing is "
        "promoted, so exact scores are withheld: whoever tunes by them fits these rows."
    )


def _closed(guard: GuardResult) -> GuardResult:
    """A guard with its finding and without its values; a limit tells the champion's."""
    judged = guard.limit is not None
    return GuardResult(
        name=guard.name,
        baseline=None,
        challenger=None,
        limit=None,
        ok=guard.ok,
        note=WITHHELD if judged else guard.note,
        unit=guard.unit,
    )


def _veiled(rival: Rival) -> Rival:
    return replace(rival, effect=None, low=None, high=None, p_value=None, score=None, reason="")
