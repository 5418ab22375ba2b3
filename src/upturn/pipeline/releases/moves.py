"""What the ledger says of a program's champions: their order, their evidence, what is unfinished.

Pure: reads entries and aliases, changes nothing. A move is a ledger entry that says which version
is the champion; the registry follows it. See ``pipeline.releases.release``.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from upturn.ledger import MOVES, Entry, EntryKind
from upturn.records import Verdict
from upturn.registry import Aliases


class Standing(StrEnum):
    """How the registry stands to the ledger's last move."""

    SETTLED = "settled"  # it followed, or there is no move to follow
    UNFINISHED = "unfinished"  # a kill came between the ledger and the registry
    ELSEWHERE = "elsewhere"  # the alias names a version that no move of this ledger leads to


def moves_of(entries: Sequence[Entry]) -> list[Entry]:
    """Returns the entries that say which version is the champion, oldest first."""
    return [e for e in entries if e.kind in MOVES]


def champion_of(moves: Sequence[Entry]) -> str:
    """Returns the champion as the ledger has it, "" where it has none."""
    return str(moves[-1].data["version"]) if moves else ""


def standing(moves: Sequence[Entry], named: Aliases) -> Standing:
    """Compares the registry's aliases with the moves of one program.

    A registry that still shows the champion before the last move, and the mark of an earlier move,
    has not heard of the last one. With the mark of the last move it has: then somebody else moved
    the alias since. No mark at all is a registry from before there were marks.
    """
    if not moves:
        return Standing.SETTLED
    last = moves[-1]
    if named.champion == champion_of(moves):
        return Standing.SETTLED if named.settled == last.hash else Standing.UNFINISHED
    unheard = named.settled == "" or named.settled in {e.hash for e in moves[:-1]}
    if unheard and named.champion == str(last.data.get("previous") or ""):
        return Standing.UNFINISHED
    return Standing.ELSEWHERE


def lineage(moves: Sequence[Entry]) -> list[str]:
    """Returns the champions that a roll-back can reach, one before the other; the present one last.

    A promotion puts its version on top. A roll-back takes off all that came after its version, so
    that a second one goes one further back. One that goes forward again, to a version that was
    rolled back before, puts it on top.
    """
    stack: list[str] = []
    for move in moves:
        version, previous = str(move.data["version"]), str(move.data.get("previous") or "")
        if move.kind is EntryKind.ROLLBACK and version in stack:
            while stack[-1] != version:
                stack.pop()
            continue
        if previous and previous not in stack:
            stack.append(previous)  # a champion that another workspace made
        if not stack or stack[-1] != version:
            stack.append(version)
    return stack


def ever_champion(moves: Sequence[Entry]) -> list[str]:
    """Returns every version that was a champion by its right, oldest first.

    What a promotion replaced counts too, since another workspace may have made it the champion.
    What a roll-back replaced does not: it may be what somebody moved the alias to.
    """
    named: list[str] = []
    for move in moves:
        keys = ("version",) if move.kind is EntryKind.ROLLBACK else ("previous", "version")
        named += [str(move.data[k]) for k in keys if move.data.get(k)]
    return list(dict.fromkeys(named))


def decision_of(entries: Sequence[Entry], turn: str) -> Entry | None:
    """Returns the last decision of a turn, None where the ledger has none."""
    made = [e for e in entries if e.kind is EntryKind.DECISION and e.data["turn"] == turn]
    return made[-1] if made else None


def baseline_of(entries: Sequence[Entry], turn: str) -> str:
    """Returns which version was the champion when a turn decided; "" where nobody knows."""
    decision = decision_of(entries, turn)
    if decision is None:
        return ""
    return champion_of([m for m in moves_of(entries) if m.number < decision.number])


def may_be_staged(entries: Sequence[Entry], turn: str) -> bool:
    """Tells whether a turn's version still waits: no later turn promotes, and nothing has moved."""
    promoting = [
        e
        for e in entries
        if e.kind is EntryKind.DECISION and e.data["verdict"] == str(Verdict.PROMOTE)
    ]
    if not promoting or promoting[-1].data["turn"] != turn:
        return False
    return not any(m.number > promoting[-1].number for m in moves_of(entries))


def is_override(entry: Entry) -> bool:
    """Tells whether a promotion went without the gate's word."""
    return bool(entry.data.get("override"))
