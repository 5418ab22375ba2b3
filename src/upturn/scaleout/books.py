"""The books of one turn: the only place that keeps answers and counts money, for all nodes.

Asked by one event loop, so nothing here is locked. A worker *holds* a key from the moment it is
told to pay for it; whoever else asks for the key waits for that answer. Holds carry the ticket of
the block of rows they were taken for, and are given back together when that block is lost.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from upturn.errors import BudgetExceededError, OutageError
from upturn.lm import Answer, AnswerCache, CallRecord, Meter, Totals

#: One question waits this long for somebody else's answer, then it is asked again.
ASK_S = 10.0


@dataclass(kw_only=True)
class _Hold:
    ticket: str
    landed: asyncio.Event = field(default_factory=asyncio.Event)
    bound_usd: float | None = None


class Books:
    """Cache, caps and single flight over all workers.

    Args:
        cache: where answers are kept before anybody uses them.
        meter: counts and caps.
        ask_s: see ``ASK_S``.
    """

    def __init__(self, cache: AnswerCache, meter: Meter, *, ask_s: float = ASK_S) -> None:
        self._cache, self._meter = cache, meter
        self._ask_s = ask_s
        self._holds: dict[str, _Hold] = {}
        self._lost: set[str] = set()
        self._tickets: set[str] = set()
        self._news: dict[str, None] = {}

    def enter(self, ticket: str) -> None:
        """A worker starts on a block of rows."""
        self._tickets.add(ticket)

    def entered(self) -> int:
        """Returns how many blocks were ever started."""
        return len(self._tickets)

    def tell(self, sentence: str) -> None:
        """A worker says what it waits for; what many say is news once."""
        self._news[sentence] = None

    def news(self) -> list[str]:
        """Returns what was said since the last time, in order."""
        said, self._news = list(self._news), {}
        return said

    async def ask(self, ticket: str, key: str) -> tuple[Answer | None, bool]:
        """Looks a key up; waits while another worker pays for it.

        Returns:
            The answer or None, and whether the asker now holds the key and must pay for it. None
            and False: the answer is still on its way, ask again.

        Raises:
            OutageError: the ticket was given up.
            StorageError: the cache cannot be read.
        """
        self._check(ticket)
        answer = self._cache.get(key)
        if answer is not None:
            return answer, False
        hold = self._holds.get(key)
        if hold is None:
            self._holds[key] = _Hold(ticket=ticket)
            return None, True
        try:
            await asyncio.wait_for(hold.landed.wait(), self._ask_s)
        except TimeoutError:
            return None, False
        return self._cache.get(key), False

    def reserve(self, ticket: str, key: str, bound_usd: float) -> bool:
        """Takes the right to pay for a key that is held; see ``Metering.reserve``.

        Raises:
            BudgetExceededError: a cap is reached; the key is given back.
            OutageError: the ticket was given up.
        """
        self._check(ticket)
        hold = self._holds[key]
        try:
            granted = self._meter.reserve(bound_usd)
        except BudgetExceededError:
            self._land(key)
            raise
        if granted:
            hold.bound_usd = bound_usd
        return granted

    def pay(self, ticket: str, key: str, answer: Answer) -> None:
        """Keeps a paid answer on disk, counts it, and wakes who waits for it.

        An answer of a ticket that was given up is kept and counted all the same: it was paid.

        Raises:
            StorageError: the disk is full or read-only.
        """
        self._cache.put(key, answer)
        hold = self._held(ticket, key)
        self._meter.settle(_record(answer), (hold.bound_usd if hold else None) or 0.0)
        if hold:
            hold.bound_usd = None
            self._land(key)

    def drop(self, ticket: str, key: str) -> None:
        """Gives a key back whose call failed; a worker that waits may try."""
        if self._held(ticket, key):
            self._land(key)

    def release(self, ticket: str) -> None:
        """Gives up a ticket: its worker is lost, and what it held goes back."""
        self._lost.add(ticket)
        for key in [k for k, hold in self._holds.items() if hold.ticket == ticket]:
            self._land(key)

    def replayed(self, n: int) -> None:
        """Counts answers that were used again."""
        for _ in range(n):
            self._meter.replay(_NOTHING)

    def totals(self) -> Totals:
        """Returns the meter's reading over all nodes."""
        return self._meter.totals()

    def _check(self, ticket: str) -> None:
        if ticket in self._lost:
            raise OutageError("a worker must stop when its rows were given to another")

    def _held(self, ticket: str, key: str) -> _Hold | None:
        hold = self._holds.get(key)
        return hold if hold is not None and hold.ticket == ticket else None

    def _land(self, key: str) -> None:
        hold = self._holds.pop(key)
        if hold.bound_usd is not None:
            self._meter.cancel(hold.bound_usd)
        hold.landed.set()


_NOTHING = CallRecord(latency_s=0.0, input_tokens=0, output_tokens=0, cost_usd=0.0, cached=True)


def _record(answer: Answer) -> CallRecord:
    return CallRecord(
        latency_s=answer.latency_s,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cost_usd=answer.cost_usd,
        cached=False,
    )
