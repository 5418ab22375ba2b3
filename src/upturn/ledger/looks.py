"""What the ledger's entries of kind ``look`` say: which holdout was read, by whom, which rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields

from upturn.gate.overlap import PastLook
from upturn.records import Json, Look

_FIELDS = tuple(f.name for f in fields(Look))


def looks_at(recorded: Iterable[Mapping[str, Json]], holdout: str) -> tuple[Look, ...]:
    """Returns the looks at one holdout, in the order in which they were recorded.

    Args:
        recorded: the data of all entries of kind ``look``.
        holdout: sha256 of the holdout.
    """
    return tuple(
        Look(**{name: data[name] for name in _FIELDS})
        for data in recorded
        if data["holdout"] == holdout
    )


def past_looks(recorded: Iterable[Mapping[str, Json]]) -> tuple[PastLook, ...]:
    """Returns all looks with the sketches of their rows; ``recorded`` as above.

    The sketch of a holdout is in one of its entries, the first that was given one.
    """
    every = list(recorded)
    sketches = {data["holdout"]: tuple(data["sketch"]) for data in every if data.get("sketch")}
    return tuple(
        PastLook(
            holdout=data["holdout"],
            turn=data["turn"],
            alpha=data["alpha"],
            sketch=sketches.get(data["holdout"], ()),
        )
        for data in every
    )
