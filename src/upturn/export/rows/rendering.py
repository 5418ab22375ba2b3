"""How the fields of a row become chat messages, for formats that know nothing but messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from upturn.importers.fields import fields, is_messages
from upturn.records import Json

#: ``{"role": …, "content": …}``.
Message = dict[str, Json]


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """Turns inputs into the messages of a prompt, and output fields into the assistant's text.

    Attributes:
        prompt: inputs -> messages, none of them the answer.
        answer: output fields -> the text that the assistant says.
    """

    prompt: Callable[[Mapping[str, Json]], list[Message]]
    answer: Callable[[Mapping[str, Json]], str]

    def said(self, outputs: Mapping[str, Json]) -> list[Message]:
        """Returns the assistant's one message."""
        return [{"role": "assistant", "content": self.answer(outputs)}]


def plain_rendering(outputs: Sequence[str] = ()) -> Rendering:
    """Returns the rendering of a row without a program.

    Prompt: a system message that names the fields, and a user message that is the inputs as one
    JSON object. Inputs that are nothing but chat messages are the prompt as they stand. Answer:
    the output fields as one JSON object; a text that is all there is (``{"output": text}``) stays
    that text. Both can be read back: see :func:`upturn.importers.fields.fields`.

    Args:
        outputs: the output fields, for the system message; where none are given it says nothing of
            them.
    """
    return Rendering(prompt=lambda inputs: _prompt(inputs, outputs), answer=_answer)


def _prompt(inputs: Mapping[str, Json], outputs: Sequence[str]) -> list[Message]:
    messages: list[Message] = inputs.get("messages") or []
    if len(inputs) == 1 and is_messages(messages):
        return [dict(m) for m in messages]
    rule = f"You get a JSON object with the fields: {', '.join(inputs)}."
    if list(outputs) == ["output"]:
        rule += " Answer with the output and nothing else."
    elif outputs:
        rule += f" Answer with one JSON object with the fields: {', '.join(outputs)}."
    return [{"role": "system", "content": rule}, {"role": "user", "content": _json(inputs)}]


def _answer(outputs: Mapping[str, Json]) -> str:
    only = outputs.get("output")
    # A text that would be read as JSON must be written as JSON, or it would come back as another.
    if len(outputs) == 1 and isinstance(only, str) and only and fields(only, "output") == outputs:
        return only
    return _json(outputs)


def _json(value: Mapping[str, Json]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
