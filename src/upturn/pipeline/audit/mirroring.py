"""The ledger's head is kept with the registry, so that lines cut off at its end are found.

A ledger without its last lines is a whole, shorter chain. What the registry holds of its head says
that there were more.
"""

from __future__ import annotations

from collections.abc import Sequence

from upturn.errors import CorruptionError
from upturn.ledger import Entry, Ledger, head_of
from upturn.registry import Registry


def is_behind(entries: Sequence[Entry], head: str) -> bool:
    """Tells whether a ledger lacks the entry that a head names.

    Args:
        entries: all of them, oldest first.
        head: ``number:hash``.
    """
    number = head.partition(":")[0]
    place = int(number) if number.isascii() and number.isdigit() else 0
    return not (1 <= place <= len(entries) and head_of(entries[place - 1]) == head)


def mirror_head(registry: Registry, ledger: Ledger, program: str) -> None:
    """Writes the ledger's head to the registry. A head that a kill left behind is caught up.

    Raises:
        CorruptionError: the registry has seen an entry that the ledger does not hold.
        StorageError: the registry cannot be written.
    """
    entries = ledger.entries()
    known = registry.heads().get(program, "")
    if known and is_behind(entries, known):
        raise CorruptionError(
            f"the ledger must hold entry {known.partition(':')[0]}, which the registry has seen, "
            f"it ends at {len(entries)}: lines were cut off or replaced",
            where=program,
            fix="upturn verify, then restore the ledger from a backup",
        )
    if entries and known != head_of(entries[-1]):
        registry.mirror(program, head_of(entries[-1]))
