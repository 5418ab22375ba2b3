"""The identity of a request: what decides its answer, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from upturn.records import content_hash

if TYPE_CHECKING:
    from dspy.lm15 import Message, Request

_rollout: ContextVar[int] = ContextVar("upturn_rollout", default=0)


@contextmanager
def rollout(number: int) -> Generator[None]:
    """Asks for another answer to the same request: calls within have keys of their own.

    DSPy's ``rollout_id`` does not reach an engine, so this is how to sample a prompt twice.
    """
    token = _rollout.set(number)
    try:
        yield
    finally:
        _rollout.reset(token)


def request_key(model_id: str, request: Request) -> str:
    """Returns 64 hex digits over model, messages, tools, settings and the current rollout.

    ``Request.model`` is left out: the model id, which holds the weights' hash, stands for it.
    """
    return content_hash(
        {
            "model": model_id,
            "system": _plain(request.system),
            "messages": [_message(m) for m in request.messages],
            "tools": [_plain(asdict(t)) for t in request.tools],
            "config": _plain({k: v for k, v in asdict(request.config).items() if v is not None}),
            "rollout": _rollout.get(),
        }
    )


def _message(message: Message) -> Any:
    if len(message.parts) == 1 and message.text is not None:
        return [message.role, message.text]
    return _plain(asdict(message))


def _plain(value: Any) -> Any:
    """JSON for what ``asdict`` gives; paths become strings, tuples become lists."""
    if value is None or isinstance(value, str):
        return value
    return json.loads(json.dumps(value, default=str))
