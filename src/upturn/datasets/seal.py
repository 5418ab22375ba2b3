"""What may be known about a holdout without a look at it, and how a split's file is laid out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from upturn.errors import CorruptionError, StorageError
from upturn.records import Example, Json, canonical_json


@dataclass(frozen=True, kw_only=True)
class HoldoutSeal:
    """Identity and size of a holdout; never its rows.

    Attributes:
        sha256: of the holdout's rows. The ledger counts looks by it.
        rows, groups: how many of each.
        newest, oldest: times of its rows, or "" where they have none.
    """

    sha256: str
    rows: int
    groups: int
    newest: str
    oldest: str

    def to_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> HoldoutSeal:
        return cls(**value)


def encode_rows(rows: Sequence[Example]) -> bytes:
    """Returns a split's file: one canonical JSON row a line, sorted by id."""
    ordered = sorted(rows, key=lambda e: e.id)
    return "".join(f"{canonical_json(e.to_json())}\n" for e in ordered).encode()


def decode_rows(data: bytes) -> tuple[Example, ...]:
    """Returns the rows of a split's file, whose hash the caller has checked."""
    # Only line feeds part rows: a text may hold other signs that Unicode counts as line ends.
    lines = data.decode().split("\n")
    return tuple(Example.from_json(json.loads(line)) for line in lines if line)


def seal_of(rows: Sequence[Example], *, sha256: str = "") -> HoldoutSeal:
    """Returns the seal of the holdout's rows; ``sha256`` is the hash of their file, if known."""
    times = sorted(e.time for e in rows if e.time)
    return HoldoutSeal(
        sha256=sha256 or hashlib.sha256(encode_rows(rows)).hexdigest(),
        rows=len(rows),
        groups=len({e.group for e in rows}),
        newest=times[-1] if times else "",
        oldest=times[0] if times else "",
    )


def read_verified(path: Path, sha256: str, *, fix: str) -> bytes:
    """Returns a file's bytes if they have the stated hash.

    Raises:
        CorruptionError: they have another, or the file is gone; ``fix`` is the next command.
        StorageError: the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CorruptionError(
            f"the file must have sha256 {sha256}, found no file", where=str(path), fix=fix
        ) from None
    except OSError as error:
        raise StorageError(f"the file must be readable, got: {error}", where=str(path)) from error
    actual = hashlib.sha256(data).hexdigest()
    if actual != sha256:
        raise CorruptionError(
            f"the file must have sha256 {sha256}, found {actual}", where=str(path), fix=fix
        )
    return data
