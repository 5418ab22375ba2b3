"""Whether what the registry serves is what the ledger says, and what the gate measured.

Whoever may write to the registry, and not to the ledger, can move the alias or change a prompt
there. Neither is a release.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from upturn.errors import InputError
from upturn.ledger import MOVES, Entry, EntryKind
from upturn.pipeline.audit.problem import Problem, finding
from upturn.pipeline.releases.moves import champion_of
from upturn.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Served:
    """What a registry serves as a program's champion.

    Attributes:
        version: what the alias names, "" where it names none.
        settled: hash of the ledger's entry that the alias stands for.
        candidate: content id of the version's files, "" where they cannot be read.
        defect: why they cannot be read.
    """

    version: str = ""
    settled: str = ""
    candidate: str = ""
    defect: str = ""


def served_by(registry: Registry, program: str) -> Served:
    """Reads what is served, and holds its files against their hashes.

    Raises:
        StorageError: the registry cannot be read.
    """
    named = registry.aliases(program)
    candidate, defect = "", ""
    if named.champion:
        try:
            candidate = registry.load(program, named.champion).candidate.id
        except InputError as error:
            defect = error.what
    return Served(version=named.champion, settled=named.settled, candidate=candidate, defect=defect)


def check_champion(entries: Sequence[Entry], program: str, served: Served) -> list[Problem]:
    """Holds what is served against the moves and the decisions of its program.

    A registry that has not heard of the last moves is no fault: a kill may lie between, or a move
    is being made now. ``remark_on`` tells it.

    Args:
        entries: the ledger's, of all programs.
        program: whose champion it is.
        served: as the registry has it, read before the ledger.
    """
    moves = [e for e in entries if e.program == program and e.kind in MOVES]
    if not moves:
        return []
    problems: list[Problem] = []
    with finding(moves[-1], problems):
        if served.version not in _possible(moves, served.settled):
            back = f"upturn rollback {program} --to {champion_of(moves)} --because '…'"
            named = f"version {served.version}" if served.version else "no version"
            what = (
                f"the champion of {program} must be version {champion_of(moves)}, the registry "
                f"serves {named}: the alias was moved outside of Upturn"
            )
            return [Problem(entry=moves[-1].number, what=what, fix=back)]
        what = served.defect or _changed(entries, program, served)
        if what:
            fix = (
                "type an `upturn forget` that was interrupted again; else restore the version's "
                f"files, or upturn rollback {program} --because '…'"
            )
            problems.append(Problem(entry=moves[-1].number, what=what, fix=fix))
    return problems


def remark_on(entries: Sequence[Entry], program: str, served: Served) -> list[str]:
    """Says that the registry does not follow the last move yet."""
    moves = [e for e in entries if e.program == program and e.kind in MOVES]
    if served.settled not in [m.hash for m in moves[:-1]]:
        return []
    return [
        f"the registry does not follow entry {moves[-1].number} yet, a move of {program} that is "
        "being made or was interrupted: the next promote, approve, rollback or run ends it"
    ]


def _possible(moves: Sequence[Entry], settled: str) -> set[str]:
    """The versions that the alias may name when its mark names a move: its own, or a later one's.

    Without a mark it is a registry of before there were marks, or before the first move was done.
    """
    hashes = [m.hash for m in moves]
    if settled in hashes:
        return {str(m.data["version"]) for m in moves[hashes.index(settled) :]}
    first = str(moves[0].data.get("previous") or "")
    return {first, *(str(m.data["version"]) for m in moves)}


def _changed(entries: Sequence[Entry], program: str, served: Served) -> str:
    """Says how the files differ from those that decisions were about; "" where they do not."""
    measured, champion = "", ""
    for entry in entries:
        if entry.kind is EntryKind.FORGET:
            gone = [[str(part) for part in v] for v in entry.data.get("versions", ())]
            measured = "" if [program, served.version] in gone else measured
        if entry.program != program:
            continue
        if entry.kind in MOVES:
            champion = str(entry.data["version"])
        elif entry.kind is EntryKind.DECISION and entry.inputs:
            if entry.data.get("version") == served.version:
                measured = entry.inputs.get("challenger", "")
            elif champion == served.version:
                measured = entry.inputs["champion"]
    if measured in ("", served.candidate):
        return ""
    return (
        f"version {served.version} of {program} must be candidate {measured}, which was measured, "
        f"its files hold {served.candidate}: they were changed"
    )
