"""Request -> token ids, and how many of them the rows of one candidate share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from dspy.lm15 import InvalidRequestError, Request

# Two last messages without a common start: what their prompts share does not depend on the row.
_PROBES = ("a", "0")
_MAX_PREFIXES = 256


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A tokenized request.

    Attributes:
        ids: all token ids, the generation prompt included.
        prefix: the start that depends on all messages but the last; may be empty.
    """

    ids: tuple[int, ...]
    prefix: tuple[int, ...]


class Prompter:
    """Renders requests through a tokenizer's chat template. Thread-safe."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._prefixes: OrderedDict[tuple[tuple[str, str], ...], tuple[int, ...]] = OrderedDict()

    def encode(self, request: Request) -> Prompt:
        """Returns the request's token ids.

        Raises:
            InvalidRequestError: a part is not text, or the template refuses the roles.
        """
        turns = _turns(request)
        ids = self._ids(turns)
        prefix = self._prefix(turns)
        # A tokenizer may merge over the border; then this row shares nothing.
        holds = len(prefix) < len(ids) and ids[: len(prefix)] == prefix
        return Prompt(ids=ids, prefix=prefix if holds else ())

    def _prefix(self, turns: list[tuple[str, str]]) -> tuple[int, ...]:
        key = (*turns[:-1], (turns[-1][0], ""))
        with self._lock:
            if key in self._prefixes:
                self._prefixes.move_to_end(key)
                return self._prefixes[key]
        one, two = (self._ids([*turns[:-1], (turns[-1][0], probe)]) for probe in _PROBES)
        n = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), 0)
        with self._lock:
            self._prefixes[key] = one[:n]
            if len(self._prefixes) > _MAX_PREFIXES:
                self._prefixes.popitem(last=False)
        return one[:n]

    def _ids(self, turns: list[tuple[str, str]]) -> tuple[int, ...]:
        from jinja2 import TemplateError

        try:
            text = self._tokenizer.apply_chat_template(
                [{"role": role, "content": content} for role, content in turns],
                add_generation_prompt=True,
                tokenize=False,
            )
        except TemplateError as error:
            raise InvalidRequestError(f"the chat template refuses the messages: {error}") from error
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def _turns(request: Request) -> list[tuple[str, str]]:
    turns: list[tuple[str, str]] = []
    if request.system is not None:
        parts = request.system if not isinstance(request.system, str) else None
        turns.append(("system", request.system if parts is None else _text(parts)))  # type: ignore[arg-type]
    for message in request.messages:
        role = "system" if message.role == "developer" else message.role
        turns.append((role, _text(message.parts)))
    return turns


def _text(parts: Any) -> str:
    if any(part.type != "text" for part in parts):
        kinds = sorted({part.type for part in parts} - {"text"})
        raise InvalidRequestError(f"a local model takes text parts only, got {', '.join(kinds)}")
    return "".join(part.text for part in parts)
