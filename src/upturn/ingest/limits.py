"""How much of a source is believed: caps that keep a hostile file from filling memory or disk."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024**2
GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Caps on what one source may hold.

    Attributes:
        record_bytes: longest record (a line, an element of an array, a row); longer ones are
            skipped without being held, and rejected.
        output_bytes: most bytes that one compressed file may unfold to.
        ratio: most that a compressed file may unfold to, as a multiple of what was read of it;
            held against the file once ``ratio_after_bytes`` came out of it.
        depth: deepest nesting of objects and lists.
    """

    record_bytes: int = 16 * MIB
    output_bytes: int = 200 * GIB
    ratio: int = 1000
    ratio_after_bytes: int = 100 * MIB
    depth: int = 100


DEFAULT = Limits()
