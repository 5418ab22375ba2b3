"""DSPy's prompt formats, without the work that every row of one candidate would repeat.

``adapter("chat")`` writes the messages of ``dspy.ChatAdapter``, to the byte, and sends the request
that DSPy would send, so an answer has the same key on either way. What rows share (the system
message, the demos, the settings of the call) is written once. Whatever is out of the ordinary (a
history, an image, a callback, another kind of model) takes DSPy's own way.

No format asks the provider for a schema (``response_format``): a local model knows none, and a
candidate must be asked the same on every model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dspy
from dspy.clients.errors import error_boundary
from dspy.lm15 import Message, Request
from dspy.utils.exceptions import AdapterParseError

from upturn.errors import ConfigError
from upturn.lm.engine import AnswerEngine
from upturn.lm.heads import Head, encodable
from upturn.records import Json

if TYPE_CHECKING:
    _Dspys = dspy.ChatAdapter
else:
    # Each of DSPy's adapters brings its own base: a shared one would hide their own ``parse``.
    _Dspys = object

#: More predictors than a program has; a program that makes signatures as it runs starts over.
_MAX_HEADS = 64


class _Quick(_Dspys):
    """Goes before one of DSPy's adapters and shortens its two ways: ``format`` and the call."""

    _heads: dict[int, Head]

    def format(
        self, signature: Any, demos: list[Any], inputs: dict[str, Json]
    ) -> list[dict[str, Json]]:
        """Returns the messages that DSPy's own adapter returns."""
        head = self._head(signature, demos)
        last = head.last(inputs)
        if last is None:
            return super().format(signature, demos, inputs)
        return [*map(dict, head.messages), {"role": "user", "content": last}]

    def __call__(
        self,
        lm: Any,
        lm_kwargs: dict[str, Any],
        signature: Any,
        demos: list[Any],
        inputs: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """Asks the model; returns the fields of its answer, as DSPy's own adapter does."""
        request = None if lm_kwargs else self._request(lm, signature, demos, inputs)
        if request is None:
            return super().__call__(lm, lm_kwargs, signature, demos, inputs)
        with error_boundary(lm.model, unexpected=True):
            text = lm.engine.complete(request).text
        if not text:
            raise AdapterParseError(
                adapter_name=type(self).__name__,
                signature=signature,
                lm_response=str(text),
                message="The LM returned an empty or null response.",
            )
        return [self.parse(signature, text)]

    def _request(
        self, lm: Any, signature: Any, demos: list[Any], inputs: Mapping[str, Json]
    ) -> Request | None:
        """The request that DSPy would make, or None where only DSPy knows how."""
        if type(lm) is not dspy.LM or not isinstance(lm.engine, AnswerEngine) or _watched(self, lm):
            return None
        head = self._head(signature, demos)
        opening = head.opening(lm)
        last = head.last(inputs) if opening else None
        if opening is None or last is None or not encodable(last):
            return None
        messages = (*opening.messages, Message.user(last))
        return Request(
            model=opening.model, system=opening.system, messages=messages, config=opening.config
        )

    def _head(self, signature: Any, demos: Sequence[Any]) -> Head:
        head = self._heads.get(id(signature))
        if head is None or not head.fits(signature, demos):
            if len(self._heads) >= _MAX_HEADS:
                self._heads.clear()
            head = self._heads[id(signature)] = Head.make(super(), signature, demos)
        return head


class _Chat(_Quick, dspy.ChatAdapter):
    def __init__(self) -> None:
        # DSPy would ask again for JSON where an answer cannot be read: a second call, unasked.
        super().__init__(use_json_adapter_fallback=False)
        self._heads = {}


class _Json(_Quick, dspy.JSONAdapter):
    def __init__(self) -> None:
        super().__init__(use_native_function_calling=False)
        self._heads = {}


class _Xml(_Quick, dspy.XMLAdapter):
    def __init__(self) -> None:
        super().__init__(use_json_adapter_fallback=False)
        self._heads = {}


ADAPTERS: Mapping[str, Callable[[], Any]] = {"chat": _Chat, "json": _Json, "xml": _Xml}


def adapter(name: str = "chat") -> Any:
    """Returns a new DSPy adapter: "chat", "json" or "xml". It serves any number of threads.

    Raises:
        ConfigError: there is no such format.
    """
    if name not in ADAPTERS:
        raise ConfigError(
            f"adapter must be one of {', '.join(ADAPTERS)}, got {name!r}",
            where="search.space.adapter",
        )
    return ADAPTERS[name]()


def _watched(adapter: Any, lm: Any) -> bool:
    """Tells whether somebody listens to the call: DSPy alone tells all that it promises."""
    settings: Any = dspy.settings
    return bool(
        adapter.callbacks
        or lm.callbacks
        or settings.callbacks
        or settings.usage_tracker is not None
        or settings.send_stream is not None
    )
