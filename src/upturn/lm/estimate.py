"""How many tokens a call may need, before it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dspy.lm15 import Request

#: English prose has about four characters a token, with the tokenizers in use.
CHARS_PER_TOKEN = 4
#: Answer tokens where a request names no limit.
_DEFAULT_OUTPUT = 1024


def request_tokens(request: Request) -> tuple[int, int]:
    """Returns (tokens of the prompt, most tokens of the answer); the first is an estimate."""
    system = request.system
    parts: list[Any] = [system] if isinstance(system, str) else list(system or ())
    for message in request.messages:
        parts.extend(message.parts)
    chars = sum(len(p if isinstance(p, str) else getattr(p, "text", None) or "") for p in parts)
    return -(-chars // CHARS_PER_TOKEN), request.config.max_tokens or _DEFAULT_OUTPUT
