"""RemoteEngine: any server that DSPy can reach, one attempt a call; ``steady`` has the patience."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlsplit

import dspy
from dspy.lm15 import Request, Response, ServerError
from dspy.utils.exceptions import (
    LMError,
    LMProviderError,
    LMTimeoutError,
    LMTransportError,
    LMUnexpectedError,
)

from upturn.errors import ModelError
from upturn.lm.spec import ModelSpec

_NO_KEY = "no-key-needed"


class RemoteEngine:
    """Answers requests through a plain ``dspy.LM`` without cache.

    Args:
        spec: the model; its key is read from the environment now and never written anywhere.

    Raises:
        ModelError: the environment variable that should hold the key is not set.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._key = _key(spec)
        settings: dict[str, Any] = {"timeout": spec.timeout_s}
        if spec.api_base is not None:
            settings["api_base"] = spec.api_base
        if self._key is not None:
            settings["api_key"] = self._key
        self._lm = dspy.LM(spec.model, cache=False, num_retries=0, **settings)

    def complete(self, request: Request) -> Response:
        """Returns the answer.

        Raises:
            LMError: as DSPy types it; the key never stands in its message.
            ServerError: the server answered something that is no completion.
        """
        try:
            with dspy.context(**_QUIET):
                response = self._lm(replace(request, model=self._lm.model))
        except LMError as error:
            raise self._clean(error) from None
        return _checked(cast(Response, response))

    async def acomplete(self, request: Request) -> Response:
        """As ``complete``, for an event loop."""
        try:
            with dspy.context(**_QUIET):
                response = await self._lm.acall(replace(request, model=self._lm.model))
            return _checked(cast(Response, response))
        except LMError as error:
            raise self._clean(error) from None

    async def aclose(self) -> None:
        """Closes the sockets of the running event loop, which only it can close."""
        await self._lm.aclose()

    def close(self) -> None:
        """Closes the sockets."""
        self._lm.close()

    def _clean(self, error: LMError) -> Exception:
        """Returns the error without the key; an answer that is no JSON is the server's fault."""
        message = error.message.replace(self._key, "[key]") if self._key else error.message
        if isinstance(error, LMUnexpectedError) or _is_garbage(error):
            return ServerError(f"the server's answer is no completion: {message}")
        if isinstance(error, LMTransportError) and _timed_out(error):
            # DSPy's name for it is that of a lost connection, which fewer calls would not mend.
            return LMTimeoutError(message, model=error.model, provider=error.provider)
        error.message = message
        error.args = tuple(
            a.replace(self._key, "[key]") if self._key and isinstance(a, str) else a
            for a in error.args
        )
        # The cause holds the raw body of the answer, which may quote the key.
        error.__cause__ = None
        return error


# The outer LM keeps history and usage; twice would be counted twice.
_QUIET: dict[str, Any] = {"disable_history": True, "usage_tracker": None, "send_stream": None}


def _is_garbage(error: LMError) -> bool:
    """Whether it is DSPy's root error for a reply that could not be read, as gateways give them."""
    return type(error) is LMProviderError and not 400 <= (error.status or 0) < 500


def _timed_out(error: BaseException | None) -> bool:
    """Whether our own side gave up waiting: only the first cause of a transport error tells."""
    while error is not None and not isinstance(error, TimeoutError):
        error = error.__cause__
    return error is not None


def _checked(response: Response) -> Response:
    """Refuses a reply without text, tool call or token count: JSON, but no completion."""
    empty = not any(
        getattr(part, "text", "") or part.type != "text" for part in response.message.parts
    )
    if empty and response.usage.output_tokens is None:
        raise ServerError("the server's answer is no completion: it has no choices")
    return response


def _key(spec: ModelSpec) -> str | None:
    if spec.api_key_env is not None:
        key = os.environ.get(spec.api_key_env, "")
        if not key:
            raise ModelError(
                f"the environment variable {spec.api_key_env} must hold the key, and is not set",
                where="model.api_key_env",
                fix=f"export {spec.api_key_env}=...",
            )
        return key
    # Servers on this machine ask for no key, but the protocol's clients insist on sending one.
    return _NO_KEY if spec.api_base is not None and _is_loopback(spec.api_base) else None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
