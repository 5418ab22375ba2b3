"""Whether the looks in a ledger were counted and given their error as the spending rule says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from upturn.gate import exposure, look_alpha
from upturn.ledger import Entry, EntryKind
from upturn.ledger.looks import past_looks
from upturn.pipeline.audit.problem import Problem, finding
from upturn.records import Json

#: Of sums of error levels, in whatever order they were added.
_NEAR = 1e-12


def check_looks(
    entries: Sequence[Entry], budgets: Mapping[tuple[str, str], float]
) -> list[Problem]:
    """Counts the looks again, one after the other.

    Args:
        entries: the ledger's.
        budgets: (holdout, turn) -> alpha of all looks together, where a decision says it.
    """
    problems: list[Problem] = []
    before: list[Mapping[str, Json]] = []
    for entry in entries:
        if entry.kind is not EntryKind.LOOK:
            continue
        with finding(entry, problems):
            what = _wrong(entry.data, before, budgets)
            if what:
                problems.append(Problem(entry=entry.number, what=what))
            before.append(entry.data)
    return problems


def _wrong(
    look: Mapping[str, Json],
    before: Sequence[Mapping[str, Json]],
    budgets: Mapping[tuple[str, str], float],
) -> str:
    holdout, turn = str(look["holdout"]), str(look["turn"])
    number, alpha = int(look["number"]), float(look["alpha"])
    past = past_looks(before)
    if any((p.holdout, p.turn) == (holdout, turn) for p in past):
        return "a turn must have one look at a holdout, this is its second"
    known = next((p.sketch for p in past if p.holdout == holdout and p.sketch), ())
    # What is carried over to a holdout without some rows is recorded before its rows are known.
    sketches = {tuple(look.get("sketch", ())) or known, ()}
    seen = {e.looks + 1: e.spent for e in (exposure(holdout, s, past) for s in sketches)}
    if number not in seen:
        return f"the look must be number {min(seen)} that its rows have seen, it says {number}"
    budget = budgets.get((holdout, turn))
    allowed = 0.5 if budget is None else look_alpha(budget, number, spent=seen[number])
    if not 0 <= alpha <= allowed + _NEAR:
        return f"look {number} may spend at most {allowed:.6g}, it was given {alpha:.6g}"
    return ""
