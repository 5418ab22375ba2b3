"""What the current thread or task is doing: the open request, and the last one that ended."""

from __future__ import annotations

from contextvars import ContextVar

#: The request that is being answered; a request inside it is a step of it.
current: ContextVar[str | None] = ContextVar("upturn_current_request", default=None)
_last: ContextVar[str | None] = ContextVar("upturn_last_request", default=None)


def last_request_id() -> str | None:
    """Returns the id of the last request that was recorded in this thread or task, or None.

    A task sees what ended before it began, and not what ends in the tasks that it starts: there,
    take the id from the answer (``answer.request_id``).
    """
    return _last.get()


def ended(request_id: str, parent: str | None) -> None:
    """Notes the end of a request. Its parent, if it has one, is what goes on."""
    current.set(parent)
    if parent is None:
        _last.set(request_id)
