"""How many tokens a prompt will be, before any model is called or loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from upturn.lm.spec import ModelSpec

Messages = Sequence[Mapping[str, Any]]

#: Characters a token has in English prose, on the tokenizers in use; off by MARGIN at most.
CHARS_PER_TOKEN = 4.0
MARGIN = 0.2
#: Tokens that a provider adds around each message.
_PER_MESSAGE = 4


@dataclass(frozen=True, kw_only=True)
class TokenCounter:
    """Counts tokens.

    Attributes:
        prompt: chat messages -> tokens, those that start the answer included.
        text: a text -> tokens.
        margin: share by which a count may be off; 0 where the model's own tokenizer counts.
    """

    prompt: Callable[[Messages], int]
    text: Callable[[str], int]
    margin: float


def token_counter(spec: ModelSpec) -> TokenCounter:
    """Returns the model's own tokenizer where it is local, else a count of characters.

    Raises:
        ModelError: a local folder lacks a file.
        MissingExtraError: a local model without torch or transformers.
    """
    return _tokenizer(spec) if spec.is_local else _characters()


def _characters() -> TokenCounter:
    def text(value: str) -> int:
        return round(len(value) / CHARS_PER_TOKEN)

    def prompt(messages: Messages) -> int:
        return sum(_PER_MESSAGE + text(str(m["content"])) for m in messages)

    return TokenCounter(prompt=prompt, text=text, margin=MARGIN)


def _tokenizer(spec: ModelSpec) -> TokenCounter:
    from upturn.lm.connect import locate

    folder, _ = locate(spec)
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def text(value: str) -> int:
        return len(tokenizer(value, add_special_tokens=False)["input_ids"])

    def prompt(messages: Messages) -> int:
        whole = [dict(m) for m in messages]
        return text(
            tokenizer.apply_chat_template(whole, add_generation_prompt=True, tokenize=False)
        )

    return TokenCounter(prompt=prompt, text=text, margin=0.0)
