"""upturn-mini: the embedded language model, as package data that plain ``transformers`` can load.

Importing this package is free of heavy libraries: it only says where the weights are and what they
hash to. The modules that make the weights (``upturn.mini.train``) and measure them
(``upturn.mini.evaluate``) need the ``[local]`` extra.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

__all__ = ["MODEL_NAME", "content_hash", "weights_dir"]

#: The name under which the model is served, logged and quoted.
MODEL_NAME = "upturn-mini"

# All that decides an answer at temperature 0: weights, tokens, shapes, and how messages are framed.
_IDENTITY = ("model.safetensors", "tokenizer.json", "config.json", "chat_template.jinja")


def weights_dir() -> Path:
    """Returns the folder that ``AutoModelForCausalLM.from_pretrained`` and friends read."""
    return Path(__file__).parent / "weights"


@cache
def content_hash() -> str:
    """Returns 12 hex digits of the sha256 over weights, tokenizer, config and chat template.

    Belongs in the model string: two models with one name would share cached answers.
    """
    digest = hashlib.sha256()
    for name in _IDENTITY:
        digest.update((weights_dir() / name).read_bytes())
    return digest.hexdigest()[:12]
