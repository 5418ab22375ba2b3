"""What the collector needs of a feedback store, and who hears what the store did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from upturn.events import Event, Request


class Conflict(Protocol):
    """An event that the store refused because its id names another event."""

    @property
    def kind(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def reason(self) -> str: ...


class Added(Protocol):
    """What one transaction did."""

    @property
    def conflicts(self) -> Sequence[Conflict]: ...


class Store(Protocol):
    """A feedback store. The collector calls it from one thread."""

    def add(self, events: Sequence[Event], /) -> Added:
        """Writes events in one durable transaction, all or none; what is there stays as it is."""
        ...

    def request(self, request_id: str, /) -> Request | None:
        """Returns a request, or None where it is not known."""
        ...


class Observer(Protocol):
    """Hears what the writer does, in the writer's thread."""

    def committed(self, events: int, seconds: float) -> None:
        """A transaction with so many events took so long."""
        ...

    def store_failed(self) -> None:
        """The store raised."""
        ...
