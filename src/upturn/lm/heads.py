"""What all rows of one predictor share: the messages before the last, and the last one's frame."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dspy
from dspy.adapters.types.base_type import CUSTOM_TYPE_START_IDENTIFIER
from dspy.lm15 import Config, Message, request_from_openai_chat

from upturn.records import Json

#: Settings of a ``dspy.LM`` that are part of the request and of nothing else.
_ASKED = frozenset({"temperature", "max_tokens", "max_completion_tokens", "seed"})


@dataclass(frozen=True, kw_only=True)
class Opening:
    """A request up to its last message, for one model."""

    lm: Any
    model: str
    system: Any
    messages: tuple[Message, ...]
    config: Config


@dataclass(frozen=True, kw_only=True)
class Head:
    """The messages before a row's own, as one adapter writes them for one signature and its demos.

    Attributes:
        base: DSPy's adapter.
        signature: whose fields these are.
        demos: copies, to notice a demo that was changed where it lies.
        spelled: the demos' text where a value is no string: 1 equals True, and reads differently.
        messages: system and demos; empty where this signature is out of the ordinary.
        inputs: the signature's input fields.
    """

    base: Any
    signature: Any
    demos: list[Any]
    spelled: str | None
    messages: list[dict[str, Json]]
    inputs: tuple[str, ...]
    _frames: dict[tuple[str, ...], tuple[str, ...] | None] = field(default_factory=dict)
    _openings: dict[int, tuple[Any, Opening | None]] = field(default_factory=dict)

    @classmethod
    def make(cls, base: Any, signature: Any, demos: Sequence[Any]) -> Head:
        """Formats once what rows will share.

        Args:
            base: the adapter's own ``format`` and ``format_user_message_content``.
            signature: the predictor's.
            demos: the predictor's.
        """
        inputs = tuple(signature.input_fields)
        messages: list[dict[str, Json]] = []
        if not any(f.annotation == dspy.History for f in signature.input_fields.values()):
            messages = base.format(signature, demos, dict.fromkeys(inputs, ""))[:-1]
        if not all(isinstance(m["content"], str) for m in messages):
            messages = []
        plain = all(type(v) is str for d in demos for v in dict(d).values())
        return cls(
            base=base,
            signature=signature,
            demos=copy.deepcopy(list(demos)),
            spelled=None if plain else repr(demos),
            messages=messages,
            inputs=inputs,
        )

    def fits(self, signature: Any, demos: Sequence[Any]) -> bool:
        """Tells whether this is the head of that signature with those demos."""
        if signature is not self.signature:
            return False
        return self.demos == demos if self.spelled is None else self.spelled == repr(demos)

    def last(self, inputs: Mapping[str, Json]) -> str | None:
        """Returns the row's own message, or None where only DSPy knows how to write it."""
        if not self.messages:
            return None
        names = tuple(name for name in self.inputs if name in inputs)
        if names not in self._frames:
            self._frames[names] = self._frame(names)
        frame = self._frames[names]
        values = [inputs[name] for name in names]
        if frame is None or any(type(v) is not str for v in values):
            return None
        text = frame[0] + "".join(v + f for v, f in zip(values, frame[1:], strict=True))
        return None if CUSTOM_TYPE_START_IDENTIFIER in text else text

    def opening(self, lm: Any) -> Opening | None:
        """Returns the request up to the row's own message, or None where DSPy must make it."""
        known = self._openings.get(id(lm))
        if known is None or known[0] is not lm:
            known = self._openings[id(lm)] = (lm, self._open(lm))
        return known[1]

    def _frame(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        """The text around the values: a value that is a string is written as it is."""
        marks = {name: f"\x1a{i}\x1a" for i, name in enumerate(names)}
        text: str = self.base.format_user_message_content(self.signature, marks, main_request=True)
        frame: list[str] = []
        for mark in marks.values():
            before, found, text = text.partition(mark)
            if not found:
                return None
            frame.append(before)
        frame.append(text)
        # DSPy strips the whole message: with text at both ends it cannot reach into a value.
        whole = frame[0].strip() and frame[-1].strip() and "\x1a" not in "".join(frame)
        return tuple(frame) if whole else None

    def _open(self, lm: Any) -> Opening | None:
        ordinary = lm.model_type == "chat" and not lm.cache and not lm.num_retries
        asked = {k: v for k, v in lm.kwargs.items() if v is not None}
        outputs = [f.annotation for f in self.signature.output_fields.values()]
        if not ordinary or not asked.keys() <= _ASKED or any(map(_is_dspys, outputs)):
            return None
        probe: dict[str, Json] = {"role": "user", "content": "?"}
        body = {"model": lm.model, "messages": [*self.messages, probe], **asked}
        if not encodable("".join(m["content"] for m in self.messages)):
            return None
        made = request_from_openai_chat(body)
        if made.messages[-1] != Message.user("?"):
            return None
        return Opening(
            lm=lm,
            model=made.model,
            system=made.system,
            messages=made.messages[:-1],
            config=made.config,
        )


def encodable(text: str) -> bool:
    """Tells whether a model can receive the text; where not, DSPy says what is wrong with it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_dspys(annotation: Any) -> bool:
    """Tells whether a field's type has a way of its own through a model (tool calls, citations)."""
    return isinstance(annotation, type) and issubclass(annotation, dspy.Type)
