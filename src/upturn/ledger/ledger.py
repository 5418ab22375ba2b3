"""The ledger: an append-only file of looks at holdouts, decisions and releases.

One JSON object a line. Each line carries the hash of the line before it and its own, so a changed,
removed or reordered line breaks the chain and ``verify`` names it. (Lines cut off at the end leave
a valid shorter chain; the tracker holds its own copy of every decision.) A line is written under a
file lock, in one piece, and synced before the call returns. What a kill leaves of an unfinished
line was never acknowledged: the next append removes it and says so in an entry of kind ``repair``.

Appends that a resumed process makes a second time are recognised and not written twice.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from upturn.errors import CorruptionError, StorageError
from upturn.records import Json, Look, Verdict, canonical_json, content_hash

#: What the first line gives as the hash of the line before it.
GENESIS = "0" * 64


class EntryKind(StrEnum):
    LOOK = "look"
    DECISION = "decision"
    ADOPTION = "adoption"
    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    FORGET = "forget"
    REPAIR = "repair"


#: Entries that say which version of a program is the champion.
MOVES = frozenset({EntryKind.ADOPTION, EntryKind.PROMOTION, EntryKind.ROLLBACK})


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line.

    Attributes:
        number: 1 for the first line.
        kind: what happened.
        time: when it was written, ISO 8601 with zone.
        program: the program it concerns; empty for a repair.
        data: the kind's own fields.
        previous_hash, hash: the chain; ``hash`` is over all other fields.
    """

    number: int
    kind: EntryKind
    time: str
    program: str
    data: Mapping[str, Json]
    previous_hash: str
    hash: str

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


class Ledger:
    """Reads and appends. Several processes may use one file at once.

    Args:
        path: the JSONL file; it and its folder are made by the first append.
        clock: the time now, with zone.

    Every method may raise CorruptionError (the chain is broken) or StorageError (the file cannot be
    read, written or locked); a failed append leaves the file as it was.
    """

    def __init__(self, path: str | Path, *, clock: Callable[[], datetime]) -> None:
        self._path = Path(path)
        self._clock = clock

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

    def looks(self, holdout: str) -> tuple[Look, ...]:
        """Returns the looks at a holdout, first to last."""
        return _looks(self._read(), holdout)

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
    ) -> Look:
        """Records a look at a holdout before it is opened, and returns it.

        A turn has one look at a holdout: asking again, as a resumed turn does, returns the look
        that was recorded. Looks are counted over all programs.

        Args:
            holdout: sha256 of the holdout.
            turn: id of the turn that looks.
            program: the program's name.
            alpha: (number of this look, error level given to earlier looks) -> this look's error
                level, 0 where nothing is left.
        """
        with self._appending() as (entries, append):
            earlier = _looks(entries, holdout)
            for look in earlier:
                if look.turn == turn:
                    return look
            number = len(earlier) + 1
            level = alpha(number, sum(look.alpha for look in earlier))
            look = Look(holdout=holdout, number=number, alpha=level, turn=turn)
            append(EntryKind.LOOK, program, asdict(look))
            return look

    def append_decision(
        self, *, program: str, turn: str, verdict: Verdict, report: Mapping[str, Json]
    ) -> Entry:
        """Records a turn's verdict with its numbers."""
        data = {"turn": turn, "verdict": str(verdict), "report": dict(report)}
        return self._once(EntryKind.DECISION, program, data)

    def append_forget(self, data: Mapping[str, Json]) -> Entry:
        """Records what was removed: hashes, ids of our own and counts, never content."""
        return self._once(EntryKind.FORGET, "", data)

    def append_adoption(
        self, *, program: str, version: str, who: str = "", turn: str = ""
    ) -> Entry:
        """Records that the program as written became its first champion."""
        return self._move(EntryKind.ADOPTION, program, version, "", turn, who, "adopted")

    def append_promotion(
        self, *, program: str, version: str, previous: str, turn: str, who: str, reason: str
    ) -> Entry:
        """Records that a version became the champion, and in whose place."""
        return self._move(EntryKind.PROMOTION, program, version, previous, turn, who, reason)

    def append_rollback(
        self, *, program: str, version: str, previous: str, who: str, reason: str, turn: str = ""
    ) -> Entry:
        """Records that an earlier version became the champion again."""
        return self._move(EntryKind.ROLLBACK, program, version, previous, turn, who, reason)

    def _once(self, kind: EntryKind, program: str, data: Mapping[str, Json]) -> Entry:
        with self._appending() as (entries, append):
            same = (kind, program, canonical_json(data))
            held = (e for e in entries if (e.kind, e.program, canonical_json(e.data)) == same)
            return next(held, None) or append(kind, program, data)

    def _move(self, kind: EntryKind, program: str, *values: str) -> Entry:
        fields = ("version", "previous", "turn", "who", "reason")
        data = dict(zip(fields, values, strict=True))
        # Only the latest move can be one that a killed process is finishing now: promoting a
        # version again after a roll-back is news.
        with self._appending() as (entries, append):
            moves = [e for e in entries if e.program == program and e.kind in MOVES]
            if moves and (moves[-1].kind, dict(moves[-1].data)) == (kind, data):
                return moves[-1]
            return append(kind, program, data)

    def _read(self) -> list[Entry]:
        try:
            with self._path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                return _parse(file.read(), self._path)[0]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unusable(self._path, "read", error) from error

    @contextmanager
    def _appending(self) -> Generator[tuple[list[Entry], Callable[..., Entry]]]:
        """Holds the lock while a caller reads what there is and decides what to append."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise _unusable(self._path, "write", error) from error
        with os.fdopen(handle, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            entries, torn = _parse(file.read(), self._path)

            def append(kind: EntryKind, program: str, data: Mapping[str, Json]) -> Entry:
                entry = _entry(entries, kind, self._clock().isoformat(), program, data)
                _write(file.fileno(), canonical_json(entry.to_json()).encode(), self._path)
                entries.append(entry)
                return entry

            if torn:
                os.ftruncate(file.fileno(), os.fstat(file.fileno()).st_size - torn)
                note = f"removed {torn} bytes of a line that was cut off while being written"
                append(EntryKind.REPAIR, "", {"note": note})
            yield entries, append


def _entry(
    entries: list[Entry], kind: EntryKind, time: str, program: str, data: Mapping[str, Json]
) -> Entry:
    previous = entries[-1].hash if entries else GENESIS
    body = {"number": len(entries) + 1, "kind": str(kind), "time": time, "program": program}
    body = {**body, "data": dict(data), "previous_hash": previous}
    return _load({**body, "hash": content_hash(body)})


def _load(value: Mapping[str, Json]) -> Entry:
    made: dict[str, Json] = {**value, "kind": EntryKind(value["kind"])}
    return Entry(**made)


def _parse(content: bytes, path: Path) -> tuple[list[Entry], int]:
    """Returns the entries, and the length in bytes of an unfinished last line."""
    *lines, tail = content.split(b"\n")
    entries: list[Entry] = []
    for number, line in enumerate(lines, start=1):
        entries.append(_checked(line, number, entries, path))
    # A whole line that lacks only its end (an editor took it) may have been acknowledged.
    if tail:
        with suppress(CorruptionError):
            entries.append(_checked(tail, len(entries) + 1, entries, path))
    return entries, len(tail) if len(entries) == len(lines) else 0


def _checked(line: bytes, number: int, before: list[Entry], path: Path) -> Entry:
    try:
        value = json.loads(line)
        body = {k: v for k, v in value.items() if k != "hash"}
        entry = _load(value)
        chained = entry.previous_hash == (before[-1].hash if before else GENESIS)
        intact = entry.hash == content_hash(body) and entry.number == number
    except (ValueError, TypeError, KeyError, AttributeError):
        chained = intact = False
        entry = None
    if entry is None or not (chained and intact):
        rule = "follow the line before it" if intact else "match its own hash"
        raise CorruptionError(
            f"every ledger line must {rule}, this one was changed after it was written",
            where=f"{path}:{number}",
            fix="restore the file from a backup: from this line on it cannot be trusted",
        )
    return entry


def _looks(entries: list[Entry], holdout: str) -> tuple[Look, ...]:
    return tuple(
        Look(**e.data) for e in entries if e.kind is EntryKind.LOOK and e.data["holdout"] == holdout
    )


def _write(handle: int, line: bytes, path: Path) -> None:
    size = os.fstat(handle).st_size
    ended = size == 0 or os.pread(handle, 1, size - 1) == b"\n"
    whole = (b"" if ended else b"\n") + line + b"\n"
    try:
        if os.write(handle, whole) != len(whole):
            raise OSError("only a part of the line could be written")
        os.fsync(handle)
        if size == 0:
            _sync_folder(path.parent)
    except OSError as error:
        os.ftruncate(handle, size)
        raise _unusable(path, "write", error) from error


def _sync_folder(folder: Path) -> None:
    """Makes a new file's name survive a power cut, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unusable(path: Path, verb: str, error: OSError) -> StorageError:
    return StorageError(
        f"the ledger must be a file that can be read and written, could not {verb} it: {error}",
        where=str(path),
        fix="free disk space or mend the permissions, then run the same command again",
    )
