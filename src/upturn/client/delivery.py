"""Sends batches, and reads from each answer what became of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import orjson

from upturn.client.backoff import Backoff
from upturn.client.stats import Counts
from upturn.client.transport import Answer, Transport, UnreachableError
from upturn.records import Json

#: How every feedback line starts; see :mod:`upturn.client.lines`.
FEEDBACK = b'{"upturn":1,"kind":"feedback"'
#: Statuses after which sending the same again gives the same.
_FINAL = (400, 403, 409, 413, 415, 422)


class Delivery:
    """Delivers lines to a collector. For one thread.

    Args:
        transport: how to post.
        backoff: paused on failure.
        counts: where outcomes are counted.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        transport: Transport,
        backoff: Backoff,
        counts: Counts,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._backoff = backoff
        self._counts = counts
        self._clock = clock

    def send(self, lines: Sequence[bytes]) -> list[bytes]:
        """Sends lines, and returns those that are still to be sent.

        Requests go first: feedback on them then finds them there.
        """
        feedback = [line for line in lines if line.startswith(FEEDBACK)]
        requests = [line for line in lines if not line.startswith(FEEDBACK)]
        left = self._post("/v1/requests", requests)
        return left + feedback if left else self._post("/v1/feedback", feedback)

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()

    def _post(self, path: str, lines: list[bytes]) -> list[bytes]:
        if not lines:
            return []
        try:
            answer = self._transport.post(path, b"[" + b",".join(lines) + b"]")
        except UnreachableError as error:
            return self._failed(lines, str(error), None)
        if answer.status == 413 and len(lines) > 1:
            half = len(lines) // 2
            left = self._post(path, lines[:half])
            return left + lines[half:] if left else self._post(path, lines[half:])
        if self._is_final(answer, len(lines)):
            self._backoff.succeeded()
            return []
        return self._failed(lines, f"status {answer.status}", answer.retry_after_s)

    def _is_final(self, answer: Answer, n: int) -> bool:
        """Counts what a final answer says; False where the events must be sent again."""
        value = _object(answer.body)
        if answer.status == 200 and isinstance(value.get("accepted"), int):
            self._count(value, n)
            return True
        if answer.status not in _FINAL:
            return False
        # A token for nothing is the operator's to mend; events of another program are not.
        if answer.status == 403 and "accepted" not in value:
            return False
        self._count(value if "accepted" in value else {"accepted": 0}, n)
        return True

    def _count(self, value: dict[str, Json], n: int) -> None:
        accepted = min(n, value["accepted"])
        self._counts.add("sent", accepted)
        if n > accepted:
            self._counts.add("rejected", n - accepted)
            self._counts.say("rejected", f"the collector rejected events: {_first_rule(value)}")

    def _failed(self, lines: list[bytes], reason: str, retry_after_s: float | None) -> list[bytes]:
        self._backoff.failed(self._clock(), retry_after_s)
        self._counts.add("retries")
        self._counts.last_error = reason
        self._counts.say(f"away {reason}", f"the collector does not take events ({reason})")
        return lines


def _object(body: bytes) -> dict[str, Json]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _first_rule(value: dict[str, Json]) -> str:
    """Returns field and rule of the first problem, without the value that broke it."""
    problems = value.get("problems")
    if isinstance(problems, list) and problems and isinstance(problems[0], dict):
        field, rule = problems[0].get("field"), str(problems[0].get("rule"))
        return f"{field} {rule.partition(', got ')[0]}"[:200]
    return "ids that name other events" if value.get("conflicts") else "no reason given"
