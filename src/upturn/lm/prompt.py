"""Request -> token ids, and how many of them the rows of one candidate share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from dspy.lm15 import InvalidRequestError, Request

# Two last messages without a common start: what their prompts share does not depend on the row.
_PROBES = ("a", "0")
_MAX_HEADS = 256
#: What a template is told that asks for today's date: a prompt must be the same tomorrow, or what
#: was trained on is not what is sent. Llama's templates fall back to this very day.
PINNED_DATE = "26 Jul 2024"
_CLOCK = "strftime_now"
_PINNED = f"{{%- macro {_CLOCK}(format) -%}}{PINNED_DATE}{{%- endmacro -%}}"

Turns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A tokenized request.

    Attributes:
        ids: all token ids, the generation prompt included.
        prefix: the start that depends on all messages but the last; may be empty.
    """

    ids: tuple[int, ...]
    prefix: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Head:
    """The text that rows share, and its tokens."""

    text: str
    ids: tuple[int, ...]


class Prompter:
    """Renders requests through a tokenizer's chat template. Thread-safe.

    A shared head is tokenized once. It ends with a special token, where tokenizers split before
    they do anything else; that this one does is checked on two probes for each head.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special: list[str] = [t for t in tokenizer.all_special_tokens if t]
        added = tokenizer.added_tokens_decoder.values()
        self._control = sorted({t.content for t in added if t.special and len(t.content) > 1})
        self._template = _pinned(tokenizer)
        self._lock = threading.Lock()
        self._heads: OrderedDict[Turns, _Head] = OrderedDict()

    def encode(self, request: Request) -> Prompt:
        """Returns the request's token ids.

        Raises:
            InvalidRequestError: a part is not text, or the template refuses the roles.
        """
        turns = _turns(request)
        text = self._render(turns)
        head = self._head(turns)
        if not head.ids or not text.startswith(head.text) or len(text) == len(head.text):
            return Prompt(ids=self._ids(text), prefix=())
        return Prompt(ids=head.ids + self._ids(text[len(head.text) :]), prefix=head.ids)

    def texts(self, request: Request, answer: str) -> tuple[str, str]:
        """Returns the prompt's text, and that of the conversation with an answer as its last turn.

        Raises:
            InvalidRequestError: as ``encode``.
        """
        turns = _turns(request)
        whole = self._render((*turns, ("assistant", answer)), begin=False)
        return self._render(turns), whole

    def begins_answers(self, request: Request) -> bool:
        """Tells whether the template itself writes how an answer begins.

        Raises:
            InvalidRequestError: as ``encode``.
        """
        turns = _turns(request)
        return self._render(turns) != self._render(turns, begin=False)

    def _head(self, turns: Turns) -> _Head:
        key = (*turns[:-1], (turns[-1][0], ""))
        with self._lock:
            if key in self._heads:
                self._heads.move_to_end(key)
                return self._heads[key]
        head = self._find_head([self._render((*key[:-1], (key[-1][0], p))) for p in _PROBES])
        with self._lock:
            self._heads[key] = head
            if len(self._heads) > _MAX_HEADS:
                self._heads.popitem(last=False)
        return head

    def _find_head(self, texts: list[str]) -> _Head:
        common = _common_start(*texts)
        cut = max((common.rfind(t) + len(t) for t in self._special if t in common), default=0)
        ids = self._ids(common[:cut])
        splits = all(self._ids(t) == ids + self._ids(t[cut:]) for t in texts)
        return _Head(text=common[:cut], ids=ids) if splits else _Head(text="", ids=())

    def _render(self, turns: Turns, *, begin: bool = True) -> str:
        from jinja2 import TemplateError

        try:
            return self._tokenizer.apply_chat_template(
                [{"role": role, "content": self.inert(content)} for role, content in turns],
                add_generation_prompt=begin,
                tokenize=False,
                chat_template=self._template,
            )
        except TemplateError as error:
            raise InvalidRequestError(f"the chat template refuses the messages: {error}") from error

    def inert(self, content: str) -> str:
        """Breaks up control tokens: what a user writes ends no turn and begins none."""
        for token in self._control:
            content = content.replace(token, f"{token[0]} {token[1:]}")
        return content

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def _pinned(tokenizer: Any) -> str | None:
    """Returns the template with its clock stopped; None where it has none, and stands as it is."""
    if _CLOCK not in str(tokenizer.chat_template or ""):
        return None
    return _PINNED + str(tokenizer.get_chat_template())


def _common_start(one: str, two: str) -> str:
    differ = (i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)
    return one[: next(differ, min(len(one), len(two)))]


def _turns(request: Request) -> Turns:
    turns: list[tuple[str, str]] = []
    if request.system is not None:
        system = request.system
        turns.append(("system", system if isinstance(system, str) else _text(system)))
    for message in request.messages:
        role = "system" if message.role == "developer" else message.role
        turns.append((role, _text(message.parts)))
    return tuple(turns)


def _text(parts: Any) -> str:
    if any(part.type != "text" for part in parts):
        kinds = sorted({part.type for part in parts} - {"text"})
        raise InvalidRequestError(f"a local model takes text parts only, got {', '.join(kinds)}")
    return "".join(part.text for part in parts)
