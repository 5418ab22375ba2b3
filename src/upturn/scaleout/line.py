"""A line to the desk: what an engine takes for its cache and its meter, on any node."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar

from upturn.lm import Answer, CallRecord, Totals
from upturn.lm.meter import note, recording
from upturn.records import Json
from upturn.scaleout.desk import Reply
from upturn.scaleout.wire import answer_from_json, answer_to_json, error_from_json

#: The ticket of the process that runs the turn; the tickets of workers name blocks of rows.
DRIVER = "driver"

# ``Metering`` does not say which key a call is for; the call before it in the same context does.
_asked: ContextVar[tuple[str, str]] = ContextVar("upturn_asked")


class Line:
    """Implements ``Answers`` and ``Metering``; give both roles of one engine to one line.

    One paid call asks three times: for the answer, for the right to pay, and to keep what was paid,
    which also counts it. An answer that is there asks once. Thread-safe.

    Args:
        call: puts a question to the desk; blocks until the reply is there.
        ticket: for whom answers are paid.
    """

    def __init__(self, call: Callable[..., Reply], ticket: str = DRIVER) -> None:
        self._send = call
        self._ticket = ticket
        self._lock = threading.Lock()
        self._replayed = 0

    def take(self, ticket: str) -> None:
        """Starts on a block of rows: what is paid from now on is paid for it."""
        self._ticket = ticket
        self.call("enter", ticket)

    def call(self, question: str, *args: Json) -> Json:
        """Puts a question to the desk.

        Raises:
            UpturnError: what the desk answered with.
        """
        reply = self._send(question, *args)
        if "error" in reply:
            raise error_from_json(reply["error"])
        return reply["value"]

    def get(self, key: str) -> Answer | None:
        """Returns the answer under a key, or None where the caller now has to pay for it.

        Waits while another worker pays. After None, ``reserve`` must follow, in the same context.
        """
        ticket = self._ticket
        while True:
            reply = self.call("ask", ticket, key)
            if reply["pay"]:
                _asked.set((ticket, key))
                return None
            if reply["answer"] is not None:
                return answer_from_json(reply["answer"])

    def put(self, key: str, answer: Answer) -> None:
        """Keeps a paid answer on the driver's disk and counts it, before it returns."""
        ticket, _ = _asked.get()
        self.call("pay", ticket, key, answer_to_json(answer))

    def reserve(self, bound_usd: float = 0.0) -> bool:
        """Takes the right to pay for the key that was asked for; see ``Metering.reserve``.

        Raises:
            BudgetExceededError: a cap is reached, on whatever node.
        """
        return self.call("reserve", *_asked.get(), bound_usd)

    def settle(self, record: CallRecord, bound_usd: float = 0.0) -> None:
        """Notes a paid call here; ``put`` has counted it."""
        note(record)

    def cancel(self, bound_usd: float = 0.0) -> None:
        """Gives back the key and the reservation of a call that failed."""
        self.call("drop", *_asked.get())

    def replay(self, record: CallRecord) -> None:
        """Notes an answer that was used again; the desk hears of it with ``flush``."""
        with self._lock:
            self._replayed += 1
        note(record)

    def flush(self) -> None:
        """Tells the desk how many answers were used again since the last time."""
        with self._lock:
            n, self._replayed = self._replayed, 0
        if n:
            self.call("replayed", n)

    def totals(self) -> Totals:
        """Returns the reading over all nodes."""
        self.flush()
        return Totals(**self.call("totals"))

    @staticmethod
    def record() -> AbstractContextManager[list[CallRecord]]:
        """Yields a list that fills with the calls made in this context (thread or task)."""
        return recording()
