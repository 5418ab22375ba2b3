"""A judge's verdict held against the people that it stands in for, where some rows have both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from upturn.gate.pairing import Compared
from upturn.gate.prediction_powered import Powered, powered
from upturn.gate.report import GateReport
from upturn.gate.rules import GateRules
from upturn.records import OWN_FAILURES, Row, Verdict


def check_people(
    report: GateReport, compared: Sequence[Compared], rules: GateRules, *, part: str, level: float
) -> GateReport:
    """Returns the report with what people's scores say; a promotion that they deny is a HOLD.

    The rule is the gate's own for the judge's scores: a gain of 0 or less, or below ``min_gain``,
    is no reason for a release. It asks for the estimate, not the interval, so it is the stricter
    the fewer rows people scored; with fewer than ``MIN_GROUPS`` groups of them it asks nothing.

    Args:
        report: decided by the judge's scores.
        compared: the rows that it rests on.
        rules: what must be shown.
        part: name of the part of a row's score that is a person's; "" where there is none.
        level: one-sided error level of the interval's ends.
    """
    found = _powered(compared, part, level) if part else None
    if found is None:
        return report
    report = replace(report, human=found, reasons=(*report.reasons, found.sentence))
    seen = found.effect > 0 and found.effect >= rules.min_gain
    if report.verdict is not Verdict.PROMOTE or found.low is None or seen:
        return report
    limit = f"below min_gain {rules.min_gain}" if found.effect > 0 else "no gain"
    denied = (
        f"People do not see the judge's gain: by the {found.rows} rows that they scored it is "
        f"{found.effect:+.3f}, {limit}."
    )
    return replace(report, verdict=Verdict.HOLD, reasons=(denied, *report.reasons))


def _powered(compared: Sequence[Compared], part: str, level: float) -> Powered | None:
    if not compared:
        return None
    return powered(
        [c.difference for c in compared],
        [_difference(c, part) for c in compared],
        [c.baseline_row.group for c in compared],
        [c.weight for c in compared],
        level=level,
        broken=[
            c.baseline_row.failure in OWN_FAILURES and c.challenger_row.failure in OWN_FAILURES
            for c in compared
        ],
    )


def _difference(row: Compared, part: str) -> float | None:
    """People's difference on a row, or None where they did not score both answers.

    A broken answer needs nobody to score it: it is 0, as it is for the judge.
    """
    sides = (_score(row.baseline_row, part), _score(row.challenger_row, part))
    if None in sides or not any(part in r.parts for r in (row.baseline_row, row.challenger_row)):
        return None
    return float(sides[1] or 0.0) - float(sides[0] or 0.0)


def _score(row: Row, part: str) -> float | None:
    return 0.0 if row.failure in OWN_FAILURES else row.parts.get(part)
