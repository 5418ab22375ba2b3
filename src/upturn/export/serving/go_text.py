"""Renders the few actions of Go templates that our Modelfiles use, to check them by reading.

``range .Messages``, ``if eq .Role "x"``, ``else if``, ``end``, ``.Content``: nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_ACTION = re.compile(r"\{\{ (.*?) \}\}", re.DOTALL)
_TEMPLATE = re.compile(r'^TEMPLATE """(.*?)"""$', re.DOTALL | re.MULTILINE)
_EQUAL = re.compile(r'(?:else )?if eq \.Role "(\w+)"')


def modelfile_template(modelfile: str) -> str:
    """Returns the template of a Modelfile; "" where it has none."""
    match = _TEMPLATE.search(modelfile)
    return match[1] if match else ""


def render(template: str, messages: Sequence[Mapping[str, str]]) -> str:
    """Renders a template over messages.

    Raises:
        ValueError: an action that is not one of the few.
    """
    parts = _ACTION.split(template)
    if parts[0] or len(parts) < 5 or parts[1] != "range .Messages":
        raise ValueError("a template must begin with range .Messages")
    *body, end, last = parts[2:]
    if end != "end":
        raise ValueError("a template must end the range last")
    return "".join(_message(body, m) for m in messages) + last


def _message(body: Sequence[str], message: Mapping[str, str]) -> str:
    out, active = body[0], True
    for action, text in zip(body[1::2], body[2::2], strict=True):
        if match := _EQUAL.fullmatch(action):
            active = message["role"] == match[1]
        elif action == "end":
            active = True
        elif action == ".Content":
            out += message["content"] if active else ""
        else:
            raise ValueError(f"unknown action {action!r}")
        out += text if active else ""
    return out
