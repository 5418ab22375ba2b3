"""What a writer is: the rows of a snapshot in, one file or folder of a foreign format out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Protocol

from upturn.export.rows.rendering import Rendering, plain_rendering
from upturn.records import Example, Json


class Needs(StrEnum):
    """What a format is made of."""

    ROWS = "rows"  # labelled rows
    PAIRS = "pairs"  # preference pairs
    KTO = "kto"  # answers that are wanted, or are not


class Pair(Protocol):
    """Two answers to one input, of which the first is better (``datasets.preferences`` has it)."""

    @property
    def inputs(self) -> Mapping[str, Json]: ...
    @property
    def chosen(self) -> Mapping[str, Json]: ...
    @property
    def rejected(self) -> Mapping[str, Json]: ...
    @property
    def weight(self) -> float: ...
    @property
    def event_ids(self) -> Sequence[str]: ...
    @property
    def kind(self) -> str: ...


class KtoRow(Protocol):
    """One answer, and whether it is wanted (``datasets.preferences`` has it)."""

    @property
    def inputs(self) -> Mapping[str, Json]: ...
    @property
    def completion(self) -> Mapping[str, Json]: ...
    @property
    def desirable(self) -> bool: ...
    @property
    def weight(self) -> float: ...
    @property
    def event_ids(self) -> Sequence[str]: ...


@dataclass(frozen=True, kw_only=True)
class Material:
    """What is written: a writer reads the part that it needs.

    Attributes:
        snapshot: the id of the snapshot that the rows are of.
        name: what the data set is called where it is read.
        rows: split -> labelled rows.
        pairs: split -> preference pairs.
        kto: split -> answers that are wanted, or are not.
        rendering: how fields become chat messages.
    """

    snapshot: str
    name: str
    rows: Mapping[str, Sequence[Example]] = field(default_factory=dict)
    pairs: Mapping[str, Iterable[Pair]] = field(default_factory=dict)
    kto: Mapping[str, Iterable[KtoRow]] = field(default_factory=dict)
    rendering: Rendering = field(default_factory=plain_rendering)

    def labelled(self) -> Iterator[tuple[str, Example]]:
        """Yields each labelled row with its split."""
        for split, rows in self.rows.items():
            for row in rows:
                yield split, row

    def preferred(self) -> Iterator[tuple[str, Pair]]:
        """Yields each preference pair with its split."""
        for split, pairs in self.pairs.items():
            for pair in pairs:
                yield split, pair

    def judged(self) -> Iterator[tuple[str, KtoRow]]:
        """Yields each judged answer with its split."""
        for split, rows in self.kto.items():
            for row in rows:
                yield split, row


class Writer(Protocol):
    """Writes rows in one format.

    Attributes:
        name: the format's name: its module's, with ``-`` for ``_``.
        title: what people call it, for lists.
        needs: what it is made of.
        trains: whether the format exists to train on: such files hold no row whose consent was
            stated without training.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[Needs]
    trains: ClassVar[bool]

    def write(self, material: Material, out: Path) -> int:
        """Writes a file, or a folder, whole or not at all, and returns how many rows it holds.

        The same rows again change nothing.

        Raises:
            StorageError: ``out`` holds something else, or cannot be written.
            DataError: a row cannot be said in this format.
        """
        ...


def provenance(row: Example, split: str) -> dict[str, Json]:
    """Returns what a format may keep beside a row; never its group, which names a customer."""
    return {
        "id": row.id,
        "split": split,
        "weight": row.weight,
        "reason": row.reason,
        "event_ids": list(row.event_ids),
        "slices": dict(row.slices),
        "time": row.time,
    }
