"""What an importer is: one foreign record in, the events it holds out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from upturn.events import Event
from upturn.records import Json


@dataclass(frozen=True)
class Rejection:
    """A part of a record that cannot be used: the field and the rule it breaks, with the value."""

    field: str
    rule: str

    def __str__(self) -> str:
        return f"{self.field} {self.rule}" if self.field else self.rule


class RejectedError(ValueError):
    """Raised by the helpers of :mod:`upturn.importers.fields`; becomes a :class:`Rejection`."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field} {rule}")
        self.rejection = Rejection(field, rule)


class Importer(Protocol):
    """Turns records of one format into events.

    A record is one JSON object: a line of JSONL, an element of a JSON array, a whole JSON document,
    a row of CSV or Parquet. An importer has no state, so that records may come in any order, from
    several files, and twice.

    Attributes:
        name: the format's name, which is also the name of its module.
        title: what people call it, for lists.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def recognises(self, record: Mapping[str, Json]) -> bool:
        """Whether a record looks like this format. Must not raise.

        Strict: only keys that other formats do not share. A record that two formats claim makes
        the user choose.
        """
        ...

    def events(self, record: Mapping[str, Json]) -> Iterable[Event | Rejection]:
        """Returns the events of a record, and a rejection for each part that cannot be used.

        Guarantees: the same record gives equal events (ids too); a rejected part takes no other
        part with it; every event carries ``origin`` (the format's name) and ``raw`` (the foreign
        object it came from, unchanged). A record of another kind that the format is known to
        write and that holds no event (a project, a heartbeat) gives nothing.

        Raises:
            RejectedError: nothing of the record can be used.
        """
        ...
