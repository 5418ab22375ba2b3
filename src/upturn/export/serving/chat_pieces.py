"""A chat template as what stands around each role's text, where that is all it does.

Ollama takes Go templates, not Jinja. A Jinja template that puts fixed text before and after every
message can be said in both, exactly. Whether one does is found by rendering, not by reading: pieces
are taken from two short chats, and must then give every longer one to the letter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import TemplateError

Message = Mapping[str, str]
Render = Callable[[Sequence[Message], bool], str]

_MARK = "\u2063text\u2063"
#: Contents that templates like to trim, escape or cut.
_TEXTS = (
    "Hello",
    "  blanks around  ",
    "two\n\nlines\n",
    "{{ braces }} <|end|>",
    "",
    "<think>x</think>",
)


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Fixed text around messages.

    Attributes:
        around: role -> (before, after).
        prompt: what begins the answer.
    """

    around: Mapping[str, tuple[str, str]]
    prompt: str

    def render(self, messages: Sequence[Message], prompt: bool = True) -> str:
        """Returns a chat's text."""
        parts = (self.around[m["role"]] for m in messages)
        text = "".join(f"{a}{m['content']}{b}" for (a, b), m in zip(parts, messages, strict=True))
        return text + (self.prompt if prompt else "")


def pieces(render: Render) -> tuple[Pieces | None, str]:
    """Returns a template's pieces, or None and the reason why there are none.

    Args:
        render: the Jinja template: messages, whether the answer is to begin -> text.
    """
    try:
        found = _take(render)
    except (ValueError, TemplateError) as error:
        return None, str(error)
    for chat in _chats():
        for prompt in (True, False):
            try:
                expected = render(chat, prompt)
            except TemplateError as error:  # its own raise_exception, for example
                return None, f"it refuses a chat of {_roles(chat)}: {error}"
            if found.render(chat, prompt) != expected:
                return None, f"a chat of {_roles(chat)} comes out otherwise than message by message"
    return found, ""


def go_template(found: Pieces) -> str:
    """Returns the Go template for Ollama's ``.Messages``.

    Raises:
        ValueError: a piece holds what a Modelfile or a Go template would read as its own.
    """
    texts = [text for around in found.around.values() for text in around] + [found.prompt]
    for text in texts:
        if "{{" in text or "}}" in text or '"""' in text:
            raise ValueError(f"its fixed text {text!r} means something else in a Go template")
    branches = "{{ else ".join(
        f'if eq .Role "{role}" }}}}{before}{{{{ .Content }}}}{after}'
        for role, (before, after) in found.around.items()
    )
    return f"{{{{ range .Messages }}}}{{{{ {branches}{{{{ end }}}}{{{{ end }}}}{found.prompt}"


def _take(render: Render) -> Pieces:
    user: Message = {"role": "user", "content": _MARK}
    alone = render([user], False)
    before, after = _around(alone, alone)
    answered = render([user, {"role": "assistant", "content": _MARK}], False)
    led = render([{"role": "system", "content": _MARK}, user], False)
    if not answered.startswith(alone) or not led.endswith(alone):
        raise ValueError("a message looks different beside others")
    begun = render([user], True)
    if not begun.startswith(alone):
        raise ValueError("the beginning of the answer changes what stands before it")
    return Pieces(
        around={
            "system": _around(led[: len(led) - len(alone)], led),
            "user": (before, after),
            "assistant": _around(answered[len(alone) :], answered),
        },
        prompt=begun[len(alone) :],
    )


def _around(text: str, whole: str) -> tuple[str, str]:
    before, mark, after = text.partition(_MARK)
    if not mark or _MARK in after:
        raise ValueError(f"it does not keep a message's text as it is: {whole[:80]!r}")
    return before, after


def _chats() -> list[list[Message]]:
    orders = (
        *(("user",), ("system", "user"), ("user", "assistant", "user")),
        ("system", "user", "assistant", "user", "assistant"),
    )
    made: list[list[Message]] = []
    for text in _TEXTS:
        for order in orders:
            made.append([{"role": role, "content": text} for role in order])
    return made


def _roles(chat: Sequence[Message]) -> str:
    return ", ".join(m["role"] for m in chat)
