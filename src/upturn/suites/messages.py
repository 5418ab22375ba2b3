"""Chat messages of a sample, and the text that a program's input field gets of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from upturn.errors import DataError
from upturn.records import Json

#: What of a chat an input field gets.
Taken = Literal["last_user", "all"]


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message."""

    role: str
    content: str


def read_messages(value: Json, *, where: str) -> tuple[Message, ...]:
    """Reads a sample's ``input``: a text, or a list of ``{"role": …, "content": …}``.

    Raises:
        DataError: it is neither, or holds nothing that a user said.
    """
    if isinstance(value, str):
        return (Message(role="user", content=value),)
    if not isinstance(value, list) or not value:
        raise _wrong(value, where)
    found = tuple(_message(v, where) for v in value)
    if not any(m.role == "user" for m in found):
        # Samples with nothing but a system message are common: it is what is asked then.
        last = found[-1]
        return (*found[:-1], Message(role="user", content=last.content))
    return found


def last_user(messages: Sequence[Message]) -> str:
    """What the user said last."""
    return next(m.content for m in reversed(messages) if m.role == "user")


def as_text(messages: Sequence[Message]) -> str:
    """A chat in one text: the content of a single message, else a line ``role: content`` each."""
    if len(messages) == 1:
        return messages[0].content
    return "\n".join(f"{m.role}: {m.content}" for m in messages)


def _message(value: Any, where: str) -> Message:
    if not isinstance(value, dict):
        raise _wrong(value, where)
    role, content = value.get("role"), value.get("content")
    if not isinstance(role, str) or not isinstance(content, str):
        raise _wrong(value, where)
    return Message(role=role, content=content)


def _wrong(value: Json, where: str) -> DataError:
    return DataError(
        "input must be a text or a list of messages with the texts role and content, got "
        f"{type(value).__name__}",
        where=where,
        fix='{"input": [{"role": "user", "content": "…"}], "ideal": "…"}',
    )
