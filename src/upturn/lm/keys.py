"""The identity of a request: what decides its answer, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from upturn.records import canonical_json, content_hash

if TYPE_CHECKING:
    from dspy.lm15 import Config, Message, Request

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
    opening = None if request.tools else _opening(model_id, request)
    if opening is None:
        return content_hash(_content(model_id, request))
    hashed, rest = opening
    hashed = hashed.copy()
    hashed.update((canonical_json(_message(request.messages[-1])) + rest).encode())
    return hashed.hexdigest()


def _content(model_id: str, request: Request) -> dict[str, Any]:
    return {
        "model": model_id,
        "system": _plain(request.system),
        "messages": [_message(m) for m in request.messages],
        "tools": [_plain(asdict(t)) for t in request.tools],
        "config": _plain({k: v for k, v in asdict(request.config).items() if v is not None}),
        "rollout": _rollout.get(),
    }


def _opening(model_id: str, request: Request) -> tuple[Any, str] | None:
    """The hash of the text before the last message, and the text behind it; None: not shared.

    Rows of one candidate differ in their last message only, and hashing the rest for each of them
    would cost more than everything else that is done with a request.
    """
    settings = _settings()(request.config)
    # 0 and 0.0 are equal and hash alike, and they are written differently.
    kinds = tuple(map(type, settings))
    if not _PLAIN.issuperset(kinds):
        return None
    key = (model_id, request.messages[:-1], request.system, settings, kinds, _rollout.get())
    try:
        found = _openings.get(key)
    except TypeError:  # a part that cannot be a key
        return None
    if found is None and (found := _opened(model_id, request)) is not None:
        if len(_openings) >= _MAX_OPENINGS:
            _openings.clear()
        _openings[key] = found
    return found


def _opened(model_id: str, request: Request) -> tuple[Any, str] | None:
    *first, last = request.messages
    texts = all(m.text is not None and len(m.parts) == 1 for m in first)
    if not texts or not isinstance(request.system, str | None):
        return None
    text = canonical_json(_content(model_id, request))
    before, found, behind = text.rpartition(canonical_json(_message(last)))
    return (hashlib.sha256(before.encode()), behind) if found else None


_PLAIN = frozenset({type(None), bool, int, float, str, tuple})
_MAX_OPENINGS = 256
_openings: dict[Any, tuple[Any, str]] = {}


@cache
def _settings() -> Callable[[Config], tuple[Any, ...]]:
    from dspy.lm15 import Config

    return attrgetter(*(f.name for f in fields(Config)))


def _message(message: Message) -> Any:
    if len(message.parts) == 1 and message.text is not None:
        return [message.role, message.text]
    return _plain(asdict(message))


def _plain(value: Any) -> Any:
    """JSON for what ``asdict`` gives; paths become strings, tuples become lists."""
    if value is None or isinstance(value, str):
        return value
    return json.loads(json.dumps(value, default=str))
