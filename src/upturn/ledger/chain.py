"""From the bytes of a ledger to its entries, each held byte by byte against what was written.

A line is the canonical JSON of its entry and nothing else. So a blank that was added, a number that
was written another way, or a key given twice is a change like any other, although a parser would
read the same from it. What may stand after the last end of a line is the beginning of a line that a
kill cut off, which no parser takes for a whole one, or a last line that lacks only its end.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from upturn.errors import CorruptionError, UpturnError
from upturn.ledger.entry import GENESIS, Entry, EntryKind, load_entry
from upturn.records import canonical_json

_DECODER = json.JSONDecoder()
_RESTORE = "restore the file from a backup: from this line on it cannot be trusted"


@dataclass(frozen=True, kw_only=True)
class Chain:
    """What a ledger's bytes hold.

    Attributes:
        entries: those up to the first line that is not what was written.
        torn: bytes of an unfinished last line, which was never acknowledged.
        broken: the error that names the first bad line, None where the chain is whole.
    """

    entries: tuple[Entry, ...]
    torn: int = 0
    broken: UpturnError | None = None


def read_chain(content: bytes, path: Path, *, number: int = 0, previous: str = GENESIS) -> Chain:
    """Reads lines that follow a line.

    Args:
        content: the file's bytes from a beginning of a line on.
        path: the file, for errors.
        number, previous: number and hash of the line before the content; a file's beginning has
            none.
    """
    *lines, tail = content.split(b"\n")
    entries: list[Entry] = []
    try:
        for line in lines:
            entry = _checked(line, number + len(entries) + 1, previous, path)
            entries.append(entry)
            previous = entry.hash
        # A whole line that lacks only its end (a kill took it) may have been acknowledged. Anything
        # else that no kill leaves behind fails its check.
        if tail and _is_no_beginning(tail):
            entries.append(_checked(tail, number + len(entries) + 1, previous, path))
            tail = b""
    except UpturnError as error:
        return Chain(entries=tuple(entries), broken=error)
    return Chain(entries=tuple(entries), torn=len(tail))


def _is_no_beginning(tail: bytes) -> bool:
    """Tells whether a text is no beginning of a line: what a kill leaves holds no whole value."""
    if not tail.startswith(b"{"):
        return True
    with suppress(ValueError, RecursionError):
        _DECODER.raw_decode(tail.decode("utf-8", "replace"))
        return True
    return False


def _checked(line: bytes, number: int, previous: str, path: Path) -> Entry:
    where = f"{path}:{number}"
    try:
        value = json.loads(line)
        _refuse_unknown(value, line, where)
        entry = load_entry(value)
        intact = line == entry.line and (entry.hash, entry.number) == (entry.content_hash, number)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        intact, entry = False, None
    if entry is None or not intact or entry.previous_hash != previous:
        rule = "follow the line before it" if intact else "match its own hash"
        raise CorruptionError(
            f"every ledger line must {rule}, this one was changed after it was written",
            where=where,
            fix=_RESTORE,
        )
    return entry


def _refuse_unknown(value: dict[str, object], line: bytes, where: str) -> None:
    """A later version may write kinds that this one does not know; that is no damage."""
    unknown = str(value["kind"]) not in {str(k) for k in EntryKind}
    if unknown and canonical_json(value).encode() == line:
        raise UpturnError(
            f"the kind of a ledger line must be one that this version knows, got {value['kind']!r}",
            where=where,
            fix="use the version of Upturn that wrote the line, or a later one",
        )
