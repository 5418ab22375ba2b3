"""What the collector answers: one record for every route, and the refusals that become one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from upturn.records import Json

Send = Callable[[Any], Awaitable[None]]

JSON_TYPE = b"application/json"


class RefusedError(Exception):
    """A request that is not taken, with the status that says whose turn it is to act.

    Args:
        status: HTTP status.
        rule: the rule that was broken, with the value that was found.
        fix: what the sender can do next; empty where the rule says it all.
        retry_after_s: when to try again, where trying again can help.
    """

    def __init__(
        self, status: int, rule: str, *, fix: str = "", retry_after_s: int | None = None
    ) -> None:
        super().__init__(rule)
        self.status = status
        self.rule = rule
        self.fix = fix
        self.retry_after_s = retry_after_s


class DisconnectedError(Exception):
    """The sender went away before the body was whole: there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: bytes = JSON_TYPE
    retry_after_s: int | None = None

    async def send(self, send: Send) -> None:
        """Sends the answer over ASGI."""
        headers = [
            (b"content-type", self.content_type),
            (b"content-length", str(len(self.body)).encode()),
        ]
        if self.retry_after_s is not None:
            headers.append((b"retry-after", str(self.retry_after_s).encode()))
        if self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def json_reply(status: int, value: Mapping[str, Json]) -> Reply:
    """Returns an answer with a JSON object."""
    return Reply(status, orjson.dumps(value))


def refusal(error: RefusedError) -> Reply:
    """Returns the JSON answer for a refused request."""
    value = {"error": error.rule} | ({"next": error.fix} if error.fix else {})
    return Reply(error.status, orjson.dumps(value), retry_after_s=error.retry_after_s)
