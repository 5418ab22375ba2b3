"""The one way into a holdout: for the gate, with a look that the ledger recorded beforehand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from upturn.datasets.seal import HoldoutSeal, decode_rows, read_verified
from upturn.errors import DataError
from upturn.records import Example, Look


def read_holdout(
    snapshot_folder: str | Path,
    seal: HoldoutSeal,
    look: Look,
    *,
    recorded: Callable[[Look], bool],
) -> tuple[Example, ...]:
    """Returns the rows of a holdout, against a look that was recorded before.

    Args:
        snapshot_folder: the snapshot that holds it.
        seal: its seal.
        look: the look that pays for this reading.
        recorded: the ledger's own check that it holds exactly this look.

    Raises:
        DataError: the look is for another holdout, or the ledger does not hold it.
        CorruptionError: the rows do not match the seal.
        StorageError: the file cannot be read.
    """
    path = Path(snapshot_folder) / "holdout.jsonl"
    if look.holdout != seal.sha256:
        raise DataError(
            f"a look opens the holdout it was recorded for, {look.holdout[:12]}, "
            f"got {seal.sha256[:12]}",
            where=str(snapshot_folder),
        )
    if not recorded(look):
        raise DataError(
            f"the ledger must hold look {look.number} of turn {look.turn!r} at holdout "
            f"{look.holdout[:12]} before the holdout is opened, found no such look",
            where=str(snapshot_folder),
            fix="open holdouts with upturn run CONFIG, which records each look first",
        )
    data = read_verified(
        path, seal.sha256, fix=f"rm -r {snapshot_folder}, then: upturn snapshot CONFIG"
    )
    return decode_rows(data)
