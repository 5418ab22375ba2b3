"""One connection to a collector, kept open.

The standard library's ``http.client`` and not httpx: a client lives in other people's applications,
where each dependency is theirs to bear, and one connection with one thread needs no pool.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from http.client import HTTPConnection

#: An answer is a few hundred bytes; more is not read.
MAX_ANSWER = 1024 * 1024


class UnreachableError(Exception):
    """There was no whole HTTP answer; the message is the name of what happened."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the body, and when to come back (seconds), if it was said."""

    status: int
    body: bytes
    retry_after_s: float | None


class Transport:
    """Posts bodies. For one thread.

    Args:
        url: the collector's base URL, http or https.
        token: what to show, or None.
        timeout_s: for connecting and for each read.
    """

    def __init__(self, url: str, token: str | None, timeout_s: float) -> None:
        self._parts = urlsplit(url)
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": "application/json", "User-Agent": "upturn-client"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._connection: HTTPConnection | None = None

    def post(self, path: str, body: bytes) -> Answer:
        """Posts a body and returns the answer, whatever its status.

        Raises:
            UnreachableError: there was none.
        """
        from http.client import HTTPException

        # The server may have closed a connection that was idle: that is worth one fresh one.
        attempts = 2 if self._connection is not None else 1
        for attempt in range(attempts):
            try:
                return self._post(path, body)
            except TimeoutError:
                self.close()
                raise UnreachableError("TimeoutError") from None
            except (OSError, HTTPException, ValueError) as error:
                self.close()
                if attempt + 1 == attempts:
                    raise UnreachableError(type(error).__name__) from None
        raise AssertionError("every attempt returns or raises")

    def close(self) -> None:
        """Closes the connection; the next post opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, path: str, body: bytes) -> Answer:
        if self._connection is None:
            self._connection = self._connect()
        connection = self._connection
        connection.request("POST", f"{self._parts.path}{path}", body, self._headers)
        response = connection.getresponse()
        data = response.read(MAX_ANSWER)
        retry_after = _seconds(response.getheader("Retry-After"))
        if response.will_close or not response.isclosed():
            self.close()
        return Answer(response.status, data, retry_after)

    def _connect(self) -> HTTPConnection:
        from http.client import HTTPConnection, HTTPSConnection

        host, port = self._parts.hostname or "", self._parts.port
        kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
        return kind(host, port, timeout=self._timeout_s)


def _seconds(value: str | None) -> float | None:
    """Returns what a Retry-After header says, in seconds; it may be a date."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (aware - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
