"""One line for FastAPI: a route that takes feedback from a browser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import orjson

from upturn.client.client import Client
from upturn.client.default import default_client
from upturn.client.signals import feedback
from upturn.records import Json

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

#: What a browser may say. Verdicts and scores are for people and programs that are known.
SIGNALS = ("thumbs", "stars", "correction", "edit", "kept", "copy", "retry", "rephrase", "abandon")


def add_feedback_route(
    app: FastAPI,
    client: Client | None = None,
    *,
    path: str = "/feedback",
    user: Callable[[Request], str | None] | None = None,
    max_bytes: int = 16 * 1024,
) -> None:
    """Adds ``POST /feedback`` to an application.

    The body is JSON: ``request_id``, any of :data:`SIGNALS`, and ``comment``. The answer is 202
    with ``{"recorded": n}``, 413 for a body that is too large, 400 for one that is no such JSON;
    never an error of recording. The role is always "customer".

    Args:
        app: the application.
        client: where to; the process's client where None.
        path: the route.
        user: says who sends a request, such as from its session; a browser cannot.
        max_bytes: the largest body.
    """
    from fastapi import Response

    async def take(request: Request) -> Response:
        body = await _body(request, max_bytes)
        if body is None:
            return _answer(413, {"error": f"a body must have at most {max_bytes} bytes"})
        value = _object(body)
        if value is None:
            return _answer(400, {"error": "the body must be a JSON object with a request_id"})
        to = client or default_client()
        try:
            who = None if user is None else user(request)
        except Exception as error:  # the application's own function
            to.swallow(error)
            who = None
        said = {k: value[k] for k in SIGNALS if k in value}
        comment = value.get("comment")
        made = feedback(
            value["request_id"],
            user=who,
            comment=comment if isinstance(comment, str) else None,
            client=to,
            **said,
        )
        return _answer(202, {"recorded": len(made)})

    def _answer(status: int, value: Mapping[str, Json]) -> Response:
        return Response(orjson.dumps(value), status, media_type="application/json")

    app.router.add_route(path, take, methods=["POST"], include_in_schema=False)


async def _body(request: Request, max_bytes: int) -> bytes | None:
    """Returns the body, or None as soon as it is too large."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _object(body: bytes) -> dict[str, Json] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    request_id = value.get("request_id")
    return value if isinstance(request_id, str) and request_id else None
