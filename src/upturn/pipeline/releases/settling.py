"""Makes the registry follow the ledger, whatever a kill has left between the two.

The ledger's entry is the intent and the fact in one, written in one piece. Then the alias moves,
and a tag of the model names the entry that the alias now stands for. A process killed in between
leaves a tag that names an earlier entry: whoever opens the releases next finishes the move, or
undoes it where the version's files are no longer whole. An alias that was moved by anybody else is
refused, and never silently put back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from upturn.errors import CorruptionError, StorageError
from upturn.ledger import Entry, EntryKind, Ledger
from upturn.pipeline.releases import moves as told
from upturn.pipeline.releases.moves import Standing
from upturn.registry import Aliases, Registry


def silent(sentence: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Settling:
    """Makes one program's aliases follow its moves. The caller holds the workspace.

    Attributes:
        registry: the aliases.
        ledger: the moves.
        program: the program's name.
        tell: told what a kill had left and was done now.
    """

    registry: Registry
    ledger: Ledger
    program: str
    tell: Callable[[str], None] = silent

    def moves(self) -> list[Entry]:
        """Returns the program's moves, oldest first."""
        return told.moves_of(self.ledger.entries(self.program))

    def settle(self) -> Entry | None:
        """Finishes the last move where a kill left it half done, and returns it; else None.

        Raises:
            StorageError: the alias was moved outside of Upturn; names both versions and the
                commands that mend it. Or the registry cannot be read or written.
            CorruptionError: neither the last move's version nor the one before it is whole.
        """
        moves, named = self.moves(), self.registry.aliases(self.program)
        stands = told.standing(moves, named)
        if stands is Standing.ELSEWHERE:
            raise _elsewhere(self.program, moves, named)
        if stands is Standing.SETTLED:
            return None
        if not named.settled and named.champion == told.champion_of(moves):
            self.follow(moves[-1])  # from before there were marks: nothing was interrupted
            return None
        return self._finished(moves[-1])

    def settled(self, *, mends: bool = False) -> Entry | None:
        """Settles; an alias that stands elsewhere is let pass where a command mends it."""
        stands = told.standing(self.moves(), self.registry.aliases(self.program))
        return None if mends and stands is Standing.ELSEWHERE else self.settle()

    def report(self) -> str:
        """Says what stands between ledger and registry, "" where they agree. Changes nothing."""
        return unsettled(self.program, self.moves(), self.registry.aliases(self.program))

    def follow(self, entry: Entry) -> None:
        """Makes the registry follow an entry. Every step may be done again; the mark comes last."""
        version, program = str(entry.data["version"]), self.program
        named = self.registry.aliases(program)
        if named.champion != version:
            self.registry.set_champion(program, version)
            found = self.registry.aliases(program).champion
            if found != version:
                raise StorageError(
                    f"the registry must answer with the champion it was told, version {version}, "
                    f"got {found or 'none'}: another copy of it answers",
                    where=program,
                    fix="wait until its copies agree, then run the same command again",
                )
        if told.is_override(entry):
            self.registry.mark_override(program, version, str(entry.data["reason"]))
        if entry.kind is EntryKind.PROMOTION and named.staging:
            self.registry.set_staging(program, "")  # its evidence was about the champion before
        self.registry.settle(program, entry.hash)

    def _finished(self, last: Entry) -> Entry:
        version, named = str(last.data["version"]), self.registry.aliases(self.program)
        defect = "" if named.champion == version else self._defect(version)
        what = f"{last.kind} of version {version} (ledger entry {last.number})"
        if not defect:
            self.follow(last)
            self.tell(f"finished what was interrupted: {what}")
            return last
        previous = str(last.data.get("previous") or "")
        if not previous:
            raise CorruptionError(
                f"the first champion, version {version}, must be whole: {defect}",
                where=self.program,
                fix="restore its files from a backup",
            )
        undone = self.ledger.append_rollback(
            program=self.program,
            version=previous,
            previous=version,
            who="upturn",
            reason=f"an interrupted {last.kind} could not be finished: {defect}",
        )
        self.follow(undone)
        self.tell(f"undid what was interrupted: {what}: {defect}")
        return undone

    def _defect(self, version: str) -> str:
        """Why a version cannot be the champion, "" where it can."""
        if version not in {v.version for v in self.registry.versions(self.program)}:
            return f"the registry has no version {version}"
        try:
            self.registry.load(self.program, version)
        except CorruptionError as error:
            return error.what
        return ""


def unsettled(program: str, moves: Sequence[Entry], named: Aliases) -> str:
    """Says what stands between a program's moves and its aliases, "" where they agree."""
    stands = told.standing(moves, named)
    if stands is Standing.ELSEWHERE:
        return str(_elsewhere(program, moves, named))
    agreed = named.champion == told.champion_of(moves) and not named.settled
    if stands is Standing.SETTLED or agreed:
        return ""
    last = moves[-1]
    return (
        f"the {last.kind} of {program} version {last.data['version']} (ledger entry "
        f"{last.number}) was interrupted: the next promote, approve, rollback or run ends it"
    )


def _elsewhere(program: str, moves: Sequence[Entry], named: Aliases) -> StorageError:
    version, found = told.champion_of(moves), named.champion
    back = f"upturn rollback {program} --to {version} --because '…' (puts it back)"
    keep = f"upturn promote {program} {found} --override --because '…' (lets it stand)"
    return StorageError(
        f"the champion alias must name version {version}, as ledger entry {moves[-1].number} "
        f"says, and names {f'version {found}' if found else 'none'}: it was moved outside of "
        "Upturn, or an older copy of the registry answers",
        where=program,
        fix=f"{back}, or {keep}" if found else back,
    )
