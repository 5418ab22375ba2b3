"""The ledger: an append-only file of looks at holdouts, decisions and releases.

One JSON object a line. Each line carries the hash of the line before it and its own, so a changed,
removed or reordered line breaks the chain and ``verify`` names it. (Lines cut off at the end leave
a valid shorter chain; the registry holds a copy of the head, see
``pipeline.audit.mirroring``.) A line is written under a file lock, in one piece, and synced before
the call returns. What a kill leaves of an unfinished line was never acknowledged: the next append
removes it and says so in an entry of kind ``repair``. With a key the lines are signed, too; see
``signing``.

Appends that a resumed process makes a second time are recognised and not written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

from upturn.errors import StorageError
from upturn.gate.overlap import Exposure, exposure
from upturn.ledger.actor import current_actor
from upturn.ledger.chain import Chain, read_chain
from upturn.ledger.entry import FORMAT, GENESIS, MOVES, Entry, EntryKind, head_of
from upturn.ledger.file import LedgerFile
from upturn.ledger.looks import looks_at, past_looks
from upturn.ledger.signing import KEY_VARIABLE, Signer, signer_from_environment
from upturn.records import Json, Look, Verdict, canonical_json


class Ledger:
    """Reads and appends. Several processes may use one file at once.

    Args:
        path: the JSONL file; it and its folder are made by the first append.
        clock: the time now, with zone.
        actor: who writes, where an entry does not say it itself; the user or the job by default.
        signer: gives the key that signs lines, or None; the environment's by default.

    Every method may raise CorruptionError (the chain is broken) or StorageError (the file cannot be
    read, written or locked, or the key is missing); a failed append leaves the file as it was.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Callable[[], datetime],
        actor: str = "",
        signer: Callable[[], Signer | None] = signer_from_environment,
    ) -> None:
        self._file = LedgerFile(Path(path))
        self._clock = clock
        self._actor = actor or current_actor()
        self._signer = signer

    def entries(self, program: str | None = None) -> tuple[Entry, ...]:
        """Returns all entries, oldest first, or those of one program. Verifies the chain."""
        found = self._read()
        return tuple(e for e in found if program is None or e.program == program)

    def verify(self) -> int:
        """Checks the whole chain and returns the number of entries.

        Raises:
            CorruptionError: naming the first line that is not what was written.
        """
        return len(self._read())

    def examine(self) -> Chain:
        """Returns what the file holds, up to the first bad line and with its error."""
        return read_chain(self._file.read(), self._file.path)

    def head(self) -> str:
        """Returns ``number:hash`` of the last entry."""
        entries = self._read()
        return head_of(entries[-1] if entries else None)

    def looks(self, holdout: str) -> tuple[Look, ...]:
        """Returns the looks at a holdout, first to last."""
        return looks_at(_recorded(self._read()), holdout)

    def is_recorded(self, look: Look) -> bool:
        """Tells whether exactly this look is in the ledger."""
        return look in self.looks(look.holdout)

    def open_look(
        self,
        holdout: str,
        *,
        turn: str,
        program: str,
        alpha: Callable[[int, float], float],
        sketch: Sequence[str] = (),
    ) -> Look:
        """Records a look at a holdout before it is opened, and returns it.

        A turn has one look at a holdout: asking again, as a resumed turn does, returns the look
        that was recorded. Looks are counted over all programs, and a look at another holdout
        counts where that one held these rows; see ``gate.overlap``.

        Args:
            holdout: sha256 of the holdout.
            turn: id of the turn that looks.
            program: the program's name.
            alpha: (number of this look, error level given to earlier looks) -> this look's error
                level, 0 where nothing is left.
            sketch: of the holdout's rows, from ``gate.sketch_rows``; empty where not known.
        """
        with self._appending() as (entries, append):
            for look in looks_at(_recorded(entries), holdout):
                if look.turn == turn:
                    return look
            past = past_looks(_recorded(entries))
            seen = exposure(holdout, sketch, past)
            level = alpha(seen.looks + 1, seen.spent)
            look = Look(holdout=holdout, number=seen.looks + 1, alpha=level, turn=turn)
            known = any(p.holdout == holdout and p.sketch for p in past)
            shown = {"sketch": list(sketch)} if sketch and not known else {}
            append(EntryKind.LOOK, program, {**asdict(look), **shown})
            return look

    def exposure(self, holdout: str, sketch: Sequence[str] = ()) -> Exposure:
        """Returns the looks that a holdout's rows have seen, and the error that these could spend.

        Args:
            holdout: sha256 of the holdout.
            sketch: of its rows; where none is given, the one in the ledger.
        """
        past = past_looks(_recorded(self._read()))
        known = next((p.sketch for p in past if p.holdout == holdout and p.sketch), ())
        return exposure(holdout, sketch or known, past)

    def append_decision(
        self,
        *,
        program: str,
        turn: str,
        verdict: Verdict,
        report: Mapping[str, Json],
        inputs: Mapping[str, str] | None = None,
        more: Mapping[str, Json] | None = None,
    ) -> Entry:
        """Records a turn's verdict with its numbers.

        Args:
            program: the program's name.
            turn: id of the turn.
            verdict: PROMOTE, HOLD or INCONCLUSIVE.
            report: the gate's whole report, where there was a gate.
            inputs: name -> hash or id of what the decision rests on.
            more: further fields, such as the error that was spent.
        """
        data = {"turn": turn, "verdict": str(verdict), "report": dict(report), **(more or {})}
        return self._once(EntryKind.DECISION, program, data, inputs or {})

    def append_forget(self, data: Mapping[str, Json]) -> Entry:
        """Records what was removed: hashes, ids of our own and counts, never content."""
        return self._once(EntryKind.FORGET, "", data, {})

    def append_adoption(
        self, *, program: str, version: str, who: str = "", turn: str = ""
    ) -> Entry:
        """Records that the program as written became its first champion."""
        reason = "the program as written"
        return self._move(EntryKind.ADOPTION, program, version, "", turn, who, reason)

    def append_promotion(
        self,
        *,
        program: str,
        version: str,
        previous: str,
        turn: str,
        who: str,
        reason: str,
        override: bool = False,
    ) -> Entry:
        """Records that a version became the champion; ``override``: without the gate's word."""
        values = (program, version, previous, turn, who, reason)
        return self._move(EntryKind.PROMOTION, *values, override=override)

    def append_rollback(
        self, *, program: str, version: str, previous: str, who: str, reason: str, turn: str = ""
    ) -> Entry:
        """Records that an earlier version became the champion again."""
        return self._move(EntryKind.ROLLBACK, program, version, previous, turn, who, reason)

    def _once(
        self, kind: EntryKind, program: str, data: Mapping[str, Json], inputs: Mapping[str, str]
    ) -> Entry:
        def content(e: Entry) -> tuple[str, str, str]:
            return e.kind, e.program, canonical_json([e.data, e.inputs])

        with self._appending() as (entries, append):
            same = (str(kind), program, canonical_json([data, inputs]))
            held = (e for e in entries if content(e) == same)
            return next(held, None) or append(kind, program, data, inputs)

    def _move(self, kind: EntryKind, program: str, *values: str, override: bool = False) -> Entry:
        fields = ("version", "previous", "turn", "who", "reason")
        data: dict[str, Json] = dict(zip(fields, values, strict=True))
        if override:
            data["override"] = True
        # Only the latest move can be one that a killed process is finishing now: promoting a
        # version again after a roll-back is news.
        with self._appending() as (entries, append):
            moves = [e for e in entries if e.program == program and e.kind in MOVES]
            if moves and (moves[-1].kind, dict(moves[-1].data)) == (kind, data):
                return moves[-1]
            return append(kind, program, data)

    def _read(self) -> list[Entry]:
        return _whole(self.examine())

    @contextmanager
    def _appending(self) -> Generator[tuple[list[Entry], Callable[..., Entry]]]:
        """Holds the lock while a caller reads what there is and decides what to append."""
        with self._file.locked() as file:
            chain = read_chain(file.content, self._file.path)
            entries = _whole(chain)

            def append(
                kind: EntryKind,
                program: str,
                data: Mapping[str, Json],
                inputs: Mapping[str, str] | None = None,
            ) -> Entry:
                entry = self._made(entries, kind, program, data, inputs or {})
                file.append(entry.line)
                entries.append(entry)
                return entry

            if chain.torn:
                self._key(entries)  # a repair is signed, too: without the key nothing is changed
                file.cut(chain.torn)
                note = f"removed {chain.torn} bytes of a line that was cut off while being written"
                append(EntryKind.REPAIR, "", {"note": note})
            yield entries, append

    def _made(
        self,
        entries: Sequence[Entry],
        kind: EntryKind,
        program: str,
        data: Mapping[str, Json],
        inputs: Mapping[str, str],
    ) -> Entry:
        last = entries[-1] if entries else None
        signer = self._key(entries)
        entry = Entry(
            number=len(entries) + 1,
            kind=kind,
            time=self._clock().isoformat(),
            program=program,
            data=dict(data),
            previous_hash=last.hash if last else GENESIS,
            format=FORMAT,
            actor=str(data.get("who") or self._actor),
            inputs=dict(inputs),
            key=signer.fingerprint if signer else "",
        )
        if signer is not None:
            entry = replace(entry, signature=signer.sign(entry.signed_bytes))
        return replace(entry, hash=entry.content_hash)

    def _key(self, entries: Sequence[Entry]) -> Signer | None:
        signer = self._signer()
        if signer is None and entries and entries[-1].signature:
            raise StorageError(
                "the lines of a signed ledger must all be signed, no key is given",
                where=str(self._file.path),
                fix=f"set {KEY_VARIABLE} to the file of the private key",
            )
        return signer


def _whole(chain: Chain) -> list[Entry]:
    if chain.broken is not None:
        raise chain.broken
    return list(chain.entries)


def _recorded(entries: Sequence[Entry]) -> list[Mapping[str, Json]]:
    return [e.data for e in entries if e.kind is EntryKind.LOOK]
