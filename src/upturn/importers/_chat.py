"""Chat messages of several conventions, as the one that most programs use: role and content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from upturn.importers.fields import decoded, fields
from upturn.records import Json

_TEXTS = ("text", "output_text", "input_text")


def message(value: Mapping[str, Json]) -> dict[str, Json]:
    """Returns a message whose content is one text where it holds nothing but texts.

    GenAI ``parts`` become ``content``; parts that are no texts (a tool call, an image) keep the
    content a list, so that nothing is lost. All other keys stay.
    """
    rest = {k: v for k, v in value.items() if k not in ("parts", "content")}
    content = value["parts"] if "parts" in value else value.get("content")
    text = plain(content)
    return {**rest, "content": content if text is None else text}


def plain(content: Json) -> str | None:
    """Returns content as one text, or None where it is, or holds, something else."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    texts = [_part(p) for p in cast(list[Json], content)]
    known = [t for t in texts if t is not None]
    return "\n".join(known) if len(known) == len(texts) else None


def _part(part: Json) -> str | None:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict) or part.get("type") not in _TEXTS:
        return None
    text = part.get("text", part.get("content"))
    return text if isinstance(text, str) else None


def answer(messages: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """Returns what a model said as output fields.

    One message of text is that text (an object, where the text is JSON of one); one with more
    than text is the whole message, and several are their list.
    """
    if not messages:
        return {}
    if len(messages) > 1:
        return {"output": [message(m) for m in messages]}
    text = plain(messages[0].get("parts", messages[0].get("content")))
    if text is None and isinstance(messages[0].get("refusal"), str):
        text = str(messages[0]["refusal"])
    if text is None or messages[0].get("tool_calls"):
        return {"output": message(messages[0])}
    return fields(text, "output")


def said(value: Json) -> dict[str, Json]:
    """Returns an answer as output fields, where it may be the assistant's chat message."""
    value = decoded(value)
    if isinstance(value, dict) and value.get("role") == "assistant" and "content" in value:
        return answer([cast(dict[str, Json], value)])
    return fields(value, "output")
