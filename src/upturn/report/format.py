"""Numbers as people read them. None is shown as a dash: not known is not zero."""

from __future__ import annotations

import math

from upturn.gate.ladder import WITHHELD
from upturn.gate.report import Counts, GateReport, GuardResult, Staged

DASH = "–"


def percent(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f} %"


def points(value: float | None) -> str:
    """A difference of two scores in percentage points, with its sign."""
    return DASH if value is None else f"{100 * value:+.1f} pp"


def p_value(value: float | None) -> str:
    if value is None:
        return DASH
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def p_equals(value: float | None) -> str:
    """A p-value in a sentence: with its sign of equality, or of being below what is shown."""
    text = p_value(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def usd(value: float | None) -> str:
    """Money; small amounts keep two significant digits: a call costs fractions of a cent."""
    if value is None:
        return DASH
    if value <= 0 or value >= 1:
        return f"${value:,.2f}"
    return f"${value:.{1 - math.floor(math.log10(value))}f}"


def seconds(value: float | None) -> str:
    if value is None:
        return DASH
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def effect(report: GateReport) -> str:
    """The effect never stands without its interval, unless a look withholds it."""
    if report.withheld:
        return "withheld" if report.effect is None else f"about {points(report.effect)}"
    if report.effect is None or report.low is None or report.high is None:
        return DASH
    level = f"{100 * report.confidence:.4g} %"
    return (
        f"{points(report.effect)} ({level} interval {points(report.low)} to {points(report.high)})"
    )


def counts(side: Counts) -> str:
    """A score's denominator, with the failures by kind."""
    kinds = ", ".join(f"{n} {kind}" for kind, n in side.failures.items())
    failed = f"{side.failed} ({kinds})" if kinds else str(side.failed)
    return f"scored {side.scored}, unscored {side.unscored}, failed {failed}"


def staged(found: Staged) -> str:
    """How far a design with stages went, and what that saved."""
    ended = " since the rest could hardly have changed the answer" if found.futile else ""
    calls = f" and {found.calls_saved} calls" if found.calls_saved else ""
    text = (
        f"Design {found.design}: {found.stages_run} of {found.stages} stages{ended}; "
        f"{found.rows_saved} of {found.rows_planned} rows{calls} saved; "
        f"error allowed by then {p_value(found.level)}"
    )
    values = ", ".join(DASH if z is None else f"{z:.2f}" for z in found.boundaries)
    return f"{text}; boundaries in z: {values}." if values else f"{text}."


#: First words of guards whose value must not fall below the limit.
_FLOORS = ("slice ", "forgetting ", "suite ")


def guard_value(guard: GuardResult, value: float | None) -> str:
    """A guard's number in its unit, or where it states none, in that which its name says."""
    if value is None:
        return DASH
    if guard.unit == "tokens":
        return f"{value:,.1f}"
    if guard.name.startswith(_FLOORS):  # the rest of such a name is somebody else's
        return percent(value)
    if guard.unit == "s" or (not guard.unit and "latency" in guard.name):
        return seconds(value)
    if guard.unit == "USD" or (not guard.unit and "cost" in guard.name):
        return usd(value)
    return percent(value)


def guard_finding(guard: GuardResult) -> str:
    """Returns what became of a guard: ok, broken, not judged, or not sure, where the limit is
    passed and that may be chance."""
    if not guard.ok:
        return "broken"
    if guard.limit is None:
        return "ok" if guard.note == WITHHELD else "not judged"
    if guard.challenger is None:
        return "ok"
    floor = guard.name.startswith(_FLOORS)
    beyond = guard.limit - guard.challenger if floor else guard.challenger - guard.limit
    return "not sure" if beyond > 1e-12 else "ok"


def guard_limit(guard: GuardResult) -> str:
    """The limit with its direction: slices, other tasks and suites have a floor."""
    if guard.limit is None:
        return DASH
    sign = "≥" if guard.name.startswith(_FLOORS) else "≤"
    return f"{sign} {guard_value(guard, guard.limit)}"
