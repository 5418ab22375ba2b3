"""Upturn turns production feedback into better LLM programs, gated by a sealed holdout.

The names below are for applications: they record requests and feedback, and import nothing heavy.
``local_lm`` and ``UpturnProvider`` are for DSPy programs that are fine-tuned here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upturn.client import Client, feedback, last_request_id, record, record_call, recorded
    from upturn.finetune.local_lm import local_lm
    from upturn.finetune.provider import UpturnProvider

__version__ = "0.5.0"

__all__ = [
    "Client",
    "UpturnProvider",
    "__version__",
    "feedback",
    "last_request_id",
    "local_lm",
    "record",
    "record_call",
    "recorded",
]


def __getattr__(name: str) -> Any:
    # Loaded when it is first used: `import upturn` is what every command does first.
    if name == "local_lm":
        from upturn.finetune.local_lm import local_lm

        return local_lm
    if name == "UpturnProvider":
        from upturn.finetune.provider import UpturnProvider

        return UpturnProvider
    if name in __all__:
        from upturn import client

        return getattr(client, name)
    raise AttributeError(f"module 'upturn' has no attribute {name!r}")
