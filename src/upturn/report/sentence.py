"""The verdict in one sentence, with the numbers that it rests on."""

from __future__ import annotations

from upturn.gate.report import GateReport
from upturn.records import Verdict
from upturn.report import format
from upturn.report.turn import TurnReport

HEADLINES = {
    "PROMOTE": "The challenger is better on rows nothing was tuned on.",
    "HOLD": "The champion stays.",
    "INCONCLUSIVE": "There is no answer yet. The champion stays.",
    "NO DECISION": "The turn ended before the gate. The champion stays.",
}


def sentence(turn: TurnReport) -> str:
    """Returns who is better, by how much, on how many rows, and what happens now."""
    if turn.gate is None:
        return HEADLINES[turn.verdict]
    return f"{found(turn.gate)} {_outcome(turn)}"


def found(gate: GateReport) -> str:
    """Returns the finding of a gate as one sentence."""
    if gate.withheld:
        return _withheld(gate)
    if gate.effect is None:
        return "Nothing could be compared."
    where = f"{format.effect(gate)} on {gate.n} rows in {gate.groups} groups"
    if gate.verdict is Verdict.PROMOTE:
        return f"The challenger is better by {where}, and every guard holds."
    if gate.verdict is Verdict.INCONCLUSIVE:
        return f"It is not known whether the challenger is better: {where}."
    return f"The challenger {_against(gate)}: {where}."


def _against(gate: GateReport) -> str:
    broken = [g.name for g in gate.guards if not g.ok]
    return f"broke a guard ({', '.join(broken)})" if broken else "did not gain enough"


def _withheld(gate: GateReport) -> str:
    """A later look that promotes nothing: its finding, without what would tell the score."""
    unknown = gate.verdict is Verdict.INCONCLUSIVE
    what = (
        "It is not known whether the challenger is better"
        if unknown
        else f"The challenger {_against(gate)}"
    )
    about = "" if gate.effect is None else f" ({format.effect(gate)})"
    return f"{what}{about}. Look {gate.look} at this holdout withholds its scores."


def _outcome(turn: TurnReport) -> str:
    if turn.promoted:
        return f"Version {turn.version} is the champion."
    if turn.version:
        return f"Version {turn.version} waits for a person."
    return "The champion stays."
