"""The ten-second summary at the end of a run."""

from __future__ import annotations

from upturn.report import format
from upturn.report.quote import shown
from upturn.report.sentence import HEADLINES
from upturn.report.turn import TurnReport


def summary_lines(turn: TurnReport) -> list[tuple[str, str]]:
    """Returns label and text of each line: tried, won, by how much, why, cost, next."""
    lines = [("tried", _tried(turn))]
    if turn.gate is not None:
        lines += [
            ("result", _result(turn)),
            ("proof", _proof(turn)),
            ("why", turn.gate.reasons[0] if turn.gate.reasons else HEADLINES[turn.verdict]),
        ]
    if turn.stopped:
        lines.append(("stopped", turn.stopped))
    lines.append(("cost", _cost(turn)))
    if turn.spent:
        lines.append(("quoted", _quoted(turn)))
    lines += [("next" if i == 0 else "", step) for i, step in enumerate(turn.next_steps)]
    return lines


def summary_text(turn: TurnReport) -> str:
    """Returns the summary as plain text, for logs and pipes; what must be read first is first."""
    first = [f"READ FIRST: {notice}" for notice in (turn.gate.notices if turn.gate else ())]
    lines = [f"{label:>8}  {text}" for label, text in summary_lines(turn)]
    return "\n".join([*first, f"{turn.verdict}  {turn.program}  {_outcome(turn)}", *lines])


def _outcome(turn: TurnReport) -> str:
    if turn.promoted:
        return f"version {turn.version} is the champion"
    if turn.version:
        return f"version {turn.version} waits for you"
    return "the champion stays"


def _tried(turn: TurnReport) -> str:
    return (
        f"{turn.trials} candidates on {turn.dev_rows} dev rows ({turn.pruned} stopped early), "
        f"{turn.finalists} finalists re-scored on fresh rows"
    )


def _result(turn: TurnReport) -> str:
    gate = turn.gate
    assert gate is not None, "a result needs a gate"
    if gate.withheld:
        return f"{format.effect(gate)}: look {gate.look} at this holdout, and nothing is promoted"
    scores = f"{format.percent(gate.baseline_score)} → {format.percent(gate.challenger_score)}"
    return f"{scores}, {format.effect(gate)}"


def _proof(turn: TurnReport) -> str:
    gate = turn.gate
    assert gate is not None, "a proof needs a gate"
    p_value = "" if gate.p_value is None else f"{format.p_equals(gate.p_value)}, "
    return (
        f"{gate.n} unseen rows in {gate.groups} groups, {p_value}"
        f"allowed {format.p_value(gate.allowed)}, look {gate.look} at this holdout"
    )


def _cost(turn: TurnReport) -> str:
    cost = turn.cost
    return (
        f"{cost.calls:,} model calls ({cost.cached_calls:,} cached), {format.usd(cost.cost_usd)}, "
        f"{format.seconds(cost.seconds)}"
    )


def _quoted(turn: TurnReport) -> str:
    """What was expected of the numbers that the line above ends in."""
    quoted = {line.name: line for line in turn.spent}
    parts = (("calls", " calls"), ("usd", ""), ("seconds", ""))
    return ", ".join(
        f"{shown(name, quoted[name].quoted.expected)}{unit} ({quoted[name].finding})"
        for name, unit in parts
        if name in quoted
    )
