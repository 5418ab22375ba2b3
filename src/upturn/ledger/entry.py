"""One line of the ledger: what happened, when, who did it, on what inputs, bound to the last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from upturn.records import Json, canonical_json, content_hash

#: What the first line gives as the hash of the line before it.
GENESIS = "0" * 64
#: Format of the lines that are written now. Lines of format 1 have neither actor nor inputs.
FORMAT = 2


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

_FIRST_FORMAT = ("number", "kind", "time", "program", "data", "previous_hash", "hash")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line.

    Attributes:
        number: 1 for the first line.
        kind: what happened.
        time: when it was written, ISO 8601 with zone; order is by number, clocks may be set back.
        program: the program it concerns; empty for a repair.
        data: the kind's own fields.
        previous_hash, hash: the chain; ``hash`` is over all other fields.
        format: of the line.
        actor: who wrote it: a user or a job.
        inputs: name -> hash or id of what it rests on, such as ``snapshot`` and ``evidence``.
        key, signature: fingerprint of the signer's public key, and the Ed25519 signature over all
            fields but ``hash`` and itself, in base64; empty where the line is not signed.
    """

    number: int
    kind: EntryKind
    time: str
    program: str
    data: Mapping[str, Json]
    previous_hash: str
    hash: str = ""
    format: int = 1
    actor: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    signature: str = ""

    def to_json(self) -> dict[str, Json]:
        """Returns the line's fields: those of its format, and a signature where there is one."""
        if self.format == 1:
            return {name: getattr(self, name) for name in _FIRST_FORMAT}
        names = _FIELDS if self.signature else _UNSIGNED
        return {name: getattr(self, name) for name in names}

    @property
    def line(self) -> bytes:
        """The bytes that stand in the file, without the end of the line."""
        return canonical_json(self.to_json()).encode()

    @property
    def signed_bytes(self) -> bytes:
        """What is signed: canonical JSON without hash and signature, the key's fingerprint in."""
        names = (n for n in _FIELDS if n not in ("hash", "signature"))
        return canonical_json({name: getattr(self, name) for name in names}).encode()

    @property
    def content_hash(self) -> str:
        """The hash that the line must have."""
        return content_hash({k: v for k, v in self.to_json().items() if k != "hash"})


_FIELDS = tuple(f.name for f in fields(Entry))
_UNSIGNED = tuple(n for n in _FIELDS if n not in ("key", "signature"))


def head_of(entry: Entry | None) -> str:
    """Returns ``number:hash`` of a ledger's last entry, ``0:`` and zeros where there is none."""
    return f"{entry.number}:{entry.hash}" if entry else f"0:{GENESIS}"


def load_entry(value: Mapping[str, Json]) -> Entry:
    """Returns the entry that a line's JSON holds.

    Raises:
        ValueError, TypeError: it is no entry.
    """
    made: dict[str, Json] = {**value, "kind": EntryKind(value["kind"])}
    entry = Entry(**made)
    texts: list[Json] = [entry.time, entry.program, entry.previous_hash, entry.hash]
    texts += [entry.actor, entry.key, entry.signature, *entry.inputs.values()]
    shaped = (
        isinstance(made["data"], dict)
        and isinstance(made.get("inputs", {}), dict)
        and type(entry.number) is type(entry.format) is int
        and all(isinstance(t, str) for t in texts)
    )
    if not shaped:
        raise ValueError("a field of the line has another type")
    return entry
