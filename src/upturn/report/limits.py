"""What a report does not show, said in the report: each sentence follows from its numbers."""

from __future__ import annotations

from upturn.gate.report import GateReport
from upturn.report.document import Document
from upturn.report.format import guard_finding


def limits(document: Document) -> list[str]:
    """Returns the sentences that hold for a report, the widest limit first."""
    turn, gate = document.turn, document.turn.gate
    always = [
        "The metric is all that was measured: what it does not see may have got worse.",
        f"One model answered, {turn.model_id}: another one, or another release of it, may not "
        "gain the same.",
    ]
    if gate is None:
        return [*always, "The holdout was not opened: no number here is free of the search."]
    return [
        *always,
        "The holdout is the newest data that the snapshot holds. It says nothing of questions that "
        "users begin to ask later.",
        *_of_reading(gate),
        *_of_guards(gate),
        *_of_search(document),
        *_of_examples(document),
    ]


def _of_reading(gate: GateReport) -> list[str]:
    found = [
        f"The interval is for the mean over groups like the {gate.groups} of this holdout; it is "
        "no promise for one customer.",
    ]
    if gate.look > 1:
        found.append(
            f"This holdout was read {gate.look} times. The error level pays for that; what people "
            "learned from earlier readings, nothing pays for."
        )
    if gate.staged and gate.staged.stages_run < gate.staged.stages:
        found.append(
            "The gate stopped early. An effect that is seen at such a stop is too large on "
            "average; its interval allows for that."
        )
    return found


def _of_guards(gate: GateReport) -> list[str]:
    found: list[str] = []
    unsure = [g.name for g in gate.guards if guard_finding(g) == "not sure"]
    if unsure:
        found.append(
            f"Beyond its limit, which may be chance on so few rows: {', '.join(unsure)}. More rows "
            "may show a harm."
        )
    judged = {g.name for g in gate.guards if g.limit is not None}
    small = [s for s in gate.slices if f"slice {s.name}" not in judged]
    if small:
        found.append(
            f"{len(small)} of {len(gate.slices)} slices were shown and not judged; a harm "
            "there would not have stopped a promotion."
        )
    unjudged = [
        g.name
        for g in gate.guards
        if guard_finding(g) == "not judged" and not g.name.startswith("slice ")
    ]
    if unjudged:
        found.append(f"Not judged, since too little was measured: {', '.join(unjudged)}.")
    return found


def _of_search(document: Document) -> list[str]:
    if not document.search.trials:
        return []
    return [
        "Scores on dev chose the challenger, so they are too high. Only the holdout's numbers are "
        "an estimate of what users will get."
    ]


def _of_examples(document: Document) -> list[str]:
    counted = document.tally
    if counted is None or not (counted.wins or counted.losses):
        return []
    return [
        f"The examples are the largest changes ({len(document.fixed)} of {counted.wins} rows "
        f"fixed, {len(document.broken)} of {counted.losses} broken), not a random sample. Personal "
        "items in them are masked."
    ]
