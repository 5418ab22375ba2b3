"""What a store answers with: frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """An event that was not stored, because its id names another one.

    Attributes:
        kind: ``"request"`` or ``"feedback"``.
        id: the event's id.
        reason: which fields differ from the event that is stored; never what they hold.
    """

    kind: str
    id: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Added:
    """What became of the events of one :meth:`FeedbackStore.add`; each is counted once.

    Attributes:
        requests, feedback: events that are new in the store.
        duplicates: events that the store holds already, word for word.
        conflicts: events whose id names another event; the stored one stays as it is.
        forgotten: events that must not come back: something they name was forgotten, or they are
            older than the store's retention.
    """

    requests: int = 0
    feedback: int = 0
    duplicates: int = 0
    conflicts: tuple[Conflict, ...] = ()
    forgotten: int = 0


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """How far a source was read.

    Attributes:
        source: the source's name, unique in a store.
        position: its reader's own unit (bytes, lines, records).
        state: whatever else the reader needs to go on.
    """

    source: str
    position: int
    state: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StoreCounts:
    """How many events there are.

    Attributes:
        requests: requests (of one program, where one was asked for).
        feedback: feedback, orphans among them; of one program: feedback on its requests, and
            orphans that name it.
        orphans: feedback whose request never came.
        programs: program -> requests.
    """

    requests: int
    feedback: int
    orphans: int
    programs: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What :meth:`FeedbackStore.forget` removed.

    Attributes:
        request_ids: every request that has a tombstone now: those that were named (whether they
            were stored or not), those of the users, and their steps; sorted.
        feedback_ids: the feedback that was removed; sorted.
        requests, feedback: rows that were removed.
    """

    request_ids: tuple[str, ...]
    feedback_ids: tuple[str, ...]
    requests: int
    feedback: int
