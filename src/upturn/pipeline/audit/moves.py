"""Whether every move of the champion rests on what the ledger says before it."""

from __future__ import annotations

from collections.abc import Sequence

from upturn.ledger import MOVES, Entry, EntryKind
from upturn.pipeline.audit.problem import Problem, finding
from upturn.pipeline.releases.moves import ever_champion
from upturn.records import Verdict


def check_moves(entries: Sequence[Entry]) -> list[Problem]:
    """Checks promotions and roll-backs.

    A promotion rests on an earlier decision PROMOTE for its turn, and for its version where the
    decision names one, or it is marked as an override. A roll-back leads to an earlier champion.
    Lines of format 1 did not say enough to be held to that.
    """
    problems: list[Problem] = []
    for place, entry in enumerate(entries):
        if entry.format == 1 or entry.kind not in MOVES:
            continue
        before = [e for e in entries[:place] if e.program == entry.program]
        with finding(entry, problems):
            what = _wrong(entry, before)
            if what:
                problems.append(Problem(entry=entry.number, what=what))
    return problems


def _wrong(entry: Entry, before: Sequence[Entry]) -> str:
    version = str(entry.data["version"])
    if entry.kind is EntryKind.PROMOTION and entry.data.get("override") is not True:
        if any(_supports(e, version, str(entry.data["turn"])) for e in before):
            return ""
        return (
            f"the promotion of version {version} must rest on a decision PROMOTE of its turn or be "
            "marked as an override, it does neither"
        )
    been = ever_champion([e for e in before if e.kind in MOVES])
    if entry.kind is EntryKind.ROLLBACK and version not in been:
        return f"a roll-back must lead to an earlier champion, version {version} never was one"
    return ""


def _supports(entry: Entry, version: str, turn: str) -> bool:
    data = entry.data
    return (
        entry.kind is EntryKind.DECISION
        and (data["verdict"], data["turn"]) == (str(Verdict.PROMOTE), turn)
        and str(data.get("version", version)) == version
    )
