"""The only door to a sealed holdout: a look that the ledger recorded, then the rows."""

from __future__ import annotations

from collections.abc import Callable

from upturn.datasets.sealed import read_holdout
from upturn.datasets.snapshot import Snapshot
from upturn.records import Example, Look


def open_holdout(
    snapshot: Snapshot, look: Look, *, recorded: Callable[[Look], bool]
) -> tuple[Example, ...]:
    """Returns the holdout's rows for one recorded look.

    Args:
        snapshot: the frozen snapshot.
        look: from ``Ledger.open_look``, which recorded it before this call.
        recorded: the ledger's own check.

    Raises:
        DataError: the look is for another holdout, or the ledger does not know it.
        CorruptionError: the rows do not match the seal.
    """
    return read_holdout(snapshot.folder, snapshot.holdout, look, recorded=recorded)
