"""Promotions and roll-backs: the ledger says it first, then the alias moves.

A process killed between the two leaves a ledger entry whose alias did not move; doing the same
again finishes it, and the ledger keeps one entry.
"""

from __future__ import annotations

from dataclasses import dataclass

from upturn.errors import InputError
from upturn.ledger import MOVES, EntryKind, Ledger
from upturn.records import Candidate, Verdict
from upturn.registry import RegisteredVersion, Registry


@dataclass(frozen=True)
class Releases:
    """Moves a program's champion alias, with the ledger as its memory.

    Attributes:
        registry: versions and the alias.
        ledger: who promoted what, when and why.
        program: the program's name.
    """

    registry: Registry
    ledger: Ledger
    program: str

    def adopt(self, seed: Candidate, program_json: str) -> RegisteredVersion:
        """Returns the champion; the program as written becomes version 1 where there is none."""
        champion = self.registry.champion(self.program)
        if champion is not None:
            return champion
        version = self.registry.register(
            seed,
            program=self.program,
            turn="adoption",
            report_json={},
            files={
                "program.json": program_json.encode(),
                "decision.md": b"The program as written, adopted as the first champion.",
            },
        )
        self.ledger.append_adoption(program=self.program, version=version)
        self.registry.set_champion(self.program, version)
        return self.registry.load(self.program, version)

    def promote(self, version: str, *, turn: str, who: str, reason: str, force: bool) -> None:
        """Makes a version the champion.

        Raises:
            InputError: no such version; it is champion already; or its gate did not say PROMOTE and
                ``force`` is not given.
        """
        target = self.registry.load(self.program, version)
        verdicts = {v.version: v.verdict for v in self.registry.versions(self.program)}
        if verdicts.get(version) != Verdict.PROMOTE and not force:
            raise InputError(
                f"{self.program} version {version} was not promoted by a gate "
                f"(verdict: {verdicts.get(version) or 'none'})",
                fix=f"upturn promote {self.program} {version} --force --reason '…'",
            )
        self._move(target.version, "promotion", turn=turn, who=who, reason=reason)

    def finish(self, version: str, *, turn: str, who: str, reason: str) -> bool:
        """Does a turn's own promotion, or what a kill left of it. Returns whether it stands.

        A promotion that was followed by another move, such as a roll-back, is over: it is not done
        again however often the turn is.
        """
        moves = [e for e in self.ledger.entries(self.program) if e.kind in MOVES]
        own = [e for e in moves if e.kind is EntryKind.PROMOTION and e.data["turn"] == turn]
        if not own:
            self.promote(version, turn=turn, who=who, reason=reason, force=False)
            return True
        if moves[-1] is not own[-1]:
            return False
        self.registry.set_champion(self.program, version)
        return True

    def rollback(self, *, to: str | None, who: str, reason: str) -> str:
        """Makes an earlier champion the champion again. Returns its version.

        Args:
            to: the version; the champion before the current one where None.
            who: who does it.
            reason: why, for the ledger.

        Raises:
            InputError: there is nothing to go back to, or no such version.
        """
        target = to or self._previous()
        self.registry.load(self.program, target)
        self._move(target, "rollback", turn="", who=who, reason=reason)
        return target

    def _previous(self) -> str:
        current = self.registry.champion(self.program)
        if current is None:
            raise InputError(f"{self.program} has no champion to roll back", fix="upturn ls")
        moves = [e for e in self.ledger.entries(self.program) if e.kind in MOVES]
        for entry in reversed(moves):
            if entry.data["version"] == current.version and entry.data.get("previous"):
                return str(entry.data["previous"])
        raise InputError(
            f"{self.program} version {current.version} has no champion before it",
            fix=f"upturn history {self.program}",
        )

    def _move(self, version: str, kind: str, *, turn: str, who: str, reason: str) -> None:
        champion = self.registry.champion(self.program)
        previous = champion.version if champion else ""
        if previous == version:
            raise InputError(f"{self.program} version {version} is the champion already")
        append = (
            self.ledger.append_promotion if kind == "promotion" else self.ledger.append_rollback
        )
        append(
            program=self.program,
            version=version,
            previous=previous,
            turn=turn,
            who=who,
            reason=reason,
        )
        self.registry.set_champion(self.program, version)
