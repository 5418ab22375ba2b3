"""Promotions, approvals and roll-backs: the ledger says it first, then the registry follows.

How the two are kept together through kills is in ``pipeline.releases.settling``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from upturn.errors import InputError
from upturn.ledger import Entry, EntryKind, Ledger
from upturn.pipeline.releases import moves as told
from upturn.pipeline.releases.settling import Settling, silent
from upturn.records import Candidate, Verdict
from upturn.registry import RegisteredVersion, Registry


@dataclass(frozen=True)
class Releases:
    """Moves a program's aliases, with the ledger as its memory. The caller holds the workspace.

    Attributes:
        registry: versions and the aliases.
        ledger: who promoted what, when and why.
        program: the program's name.
        tell: told what a kill had left and was done now.

    ``promote``, ``approve``, ``rollback`` and ``finish`` begin with ``settle``, and may raise what
    it raises.
    """

    registry: Registry
    ledger: Ledger
    program: str
    tell: Callable[[str], None] = silent

    @property
    def settling(self) -> Settling:
        """What keeps registry and ledger together."""
        return Settling(self.registry, self.ledger, self.program, self.tell)

    def settle(self) -> Entry | None:
        """Finishes the last move where a kill left it half done; see ``Settling.settle``."""
        return self.settling.settle()

    def adopt(self, seed: Candidate, program_json: str, *, who: str = "") -> RegisteredVersion:
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
        entry = self.ledger.append_adoption(program=self.program, version=version, who=who)
        self.settling.follow(entry)
        return self.registry.load(self.program, version)

    def promote(self, version: str, *, who: str, because: str, override: bool = False) -> None:
        """Makes a version the champion.

        Args:
            version: the version.
            who: who does it.
            because: why, for the ledger.
            override: without the gate's word; the ledger and the version say so from then on.

        Raises:
            InputError: no such version; it is champion already; the gate did not say PROMOTE, or
                said it of another champion, and ``override`` is not given.
        """
        done = self.settling.settled(mends=override)
        if _did(done, EntryKind.PROMOTION, version):
            return
        target = self.registry.load(self.program, version)
        self._from(version)
        if not override:
            self._check_evidence(target)
        self._promote(target, who=who, because=because, override=override)

    def approve(self, version: str | None, *, who: str, because: str) -> str:
        """Promotes what is staged. Returns its version.

        Args:
            version: what is to be approved; whatever is staged where None.
            who: who does it.
            because: why, for the ledger.

        Raises:
            InputError: nothing is staged, or another version; the champion is not the one that the
                gate compared it with.
        """
        if did := _did(self.settling.settled(), EntryKind.PROMOTION, version):
            return did
        staged = self.registry.aliases(self.program).staging
        if not staged:
            raise InputError(
                f"a version of {self.program} must be staged to be approved, none is",
                fix=f"upturn run CONFIG promotion=ask, or see upturn history {self.program}",
            )
        if version not in (None, staged):
            raise InputError(
                f"the version to approve must be the staged one, {staged}, got {version}",
                fix=f"upturn approve {self.program} {staged}",
            )
        target = self.registry.load(self.program, staged)
        self._from(staged)
        self._check_evidence(target)
        self._promote(target, who=who, because=because, override=False)
        return staged

    def stage(self, version: str, *, turn: str) -> bool:
        """Lets a turn's version wait for approval. May be repeated.

        Returns:
            Whether it waits: not where a later turn found something, or the champion has moved.
        """
        self.settle()
        if not told.may_be_staged(self.ledger.entries(self.program), turn):
            return False
        if self.registry.aliases(self.program).staging != version:
            self.registry.set_staging(self.program, version)
        return True

    def finish(self, version: str, *, turn: str, who: str, because: str) -> bool:
        """Does a turn's own promotion, or what a kill left of it. Returns whether it stands.

        A promotion that was followed by another move, such as a roll-back, is over: it is not done
        again however often the turn is.
        """
        self.settle()
        moves = self.settling.moves()
        own = [m for m in moves if m.kind is EntryKind.PROMOTION and m.data["turn"] == turn]
        if own:
            return moves[-1] is own[-1]
        self.promote(version, who=who, because=because)
        return True

    def rollback(self, *, to: str | None, who: str, because: str) -> str:
        """Makes an earlier champion the champion again. Returns its version.

        Args:
            to: the version; where None, the champion before the current one, so that a second
                roll-back goes one further back.
            who: who does it.
            because: why, for the ledger.

        Raises:
            InputError: there is nothing to go back to, or the version was never a champion.
        """
        done = self.settling.settled(mends=to is not None)
        if did := _did(done, EntryKind.ROLLBACK, to):
            return did
        target = to or self._previous()
        self.registry.load(self.program, target)
        been = told.ever_champion(self.settling.moves())
        if target not in been:
            raise InputError(
                f"a roll-back must go to an earlier champion ({', '.join(been) or 'none'}), "
                f"got version {target}",
                fix=f"upturn promote {self.program} {target}",
            )
        self._roll_back(target, who=who, because=because)
        return target

    def _promote(
        self, target: RegisteredVersion, *, who: str, because: str, override: bool
    ) -> None:
        entry = self.ledger.append_promotion(
            program=self.program,
            version=target.version,
            previous=self._from(target.version),
            turn=target.turn,
            who=who,
            reason=because,
            override=override,
        )
        self.settling.follow(entry)

    def _roll_back(self, version: str, *, who: str, because: str) -> None:
        found = self.registry.aliases(self.program).champion
        if found != told.champion_of(self.settling.moves()):
            because = f"{because} (the alias named version {found or 'none'}, moved elsewhere)"
            previous = found
        else:
            previous = self._from(version)
        entry = self.ledger.append_rollback(
            program=self.program, version=version, previous=previous, who=who, reason=because
        )
        self.settling.follow(entry)

    def _from(self, version: str) -> str:
        """The champion that a move to a version replaces."""
        moves, named = self.settling.moves(), self.registry.aliases(self.program)
        current = told.champion_of(moves) or named.champion
        if version == current == named.champion:
            raise InputError(f"{self.program} version {version} is the champion already")
        return current

    def _check_evidence(self, target: RegisteredVersion) -> None:
        """Refuses a version for which the gate's PROMOTE was not said, or no longer holds."""
        name, verdict = f"{self.program} version {target.version}", target.report.get("verdict")
        override = f"upturn promote {self.program} {target.version} --override --because '…'"
        if verdict != Verdict.PROMOTE:
            earlier = {str(m.data["version"]) for m in self.settling.moves()}
            back = f"upturn rollback {self.program} --to {target.version} --because '…', or "
            raise InputError(
                f"{name} was not promoted by a gate (verdict: {verdict or 'none'})",
                fix=(back if target.version in earlier else "") + override,
            )
        if "stale" in target.manifest:
            raise InputError(
                f"{name} lost something to `upturn forget` after it was measured",
                fix=f"upturn run CONFIG, or {override}",
            )
        entries = self.ledger.entries(self.program)
        decision = told.decision_of(entries, target.turn)
        if decision is None or decision.data["verdict"] != Verdict.PROMOTE:
            raise InputError(
                f"{name} must rest on a decision PROMOTE in this workspace's ledger, turn "
                f"{target.turn} has {decision.data['verdict'] if decision else 'none'}",
                fix=f"name the workspace of its turn with --workspace, or {override}",
            )
        facts = target.manifest.get("facts", {})
        baseline = str(facts.get("champion") or told.baseline_of(entries, target.turn))
        current = self.registry.aliases(self.program).champion
        ids = {v.version: v.candidate_id for v in self.registry.versions(self.program)}
        if baseline in ("", current) or ids.get(baseline) == ids.get(current):
            return
        raise InputError(
            f"{name} was better than version {baseline}, and the champion is version {current}: "
            "the evidence is about another champion",
            fix=f"upturn run CONFIG, or {override}",
        )

    def _previous(self) -> str:
        stack = told.lineage(self.settling.moves())
        if len(stack) > 1:
            return stack[-2]
        champion = self.registry.aliases(self.program).champion
        what = f"version {champion} has no champion before it" if champion else "has no champion"
        raise InputError(
            f"{self.program} {what}: there is nothing to roll back to",
            fix=f"upturn history {self.program}",
        )


def _did(done: Entry | None, kind: EntryKind, version: str | None) -> str:
    """The version that was settled now, if it is what a command asks once more; else ""."""
    if done is None or done.kind is not kind:
        return ""
    settled = str(done.data["version"])
    return settled if version in (None, settled) else ""
