"""The desk: answers the questions of all workers from one set of books, in JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from upturn.errors import UpturnError
from upturn.records import Json
from upturn.scaleout.books import Books
from upturn.scaleout.wire import answer_from_json, answer_to_json, error_to_json

Reply = dict[str, Json]


class Desk:
    """Takes one question at a time by name; what goes in and out is JSON.

    Args:
        books: what the desk keeps.
    """

    def __init__(self, books: Books) -> None:
        self._books = books
        self._questions: Mapping[str, Callable[..., Awaitable[Json]]] = {
            "enter": self._enter,
            "entered": self._entered,
            "tell": self._tell,
            "news": self._heard,
            "ask": self._ask,
            "reserve": self._reserve,
            "pay": self._pay,
            "drop": self._drop,
            "release": self._release,
            "replayed": self._replayed,
            "totals": self._totals,
        }

    async def handle(self, question: str, *args: Any) -> Reply:
        """Returns ``{"value": ...}``, or ``{"error": ...}`` for one of our own errors."""
        try:
            return {"value": await self._questions[question](*args)}
        except UpturnError as error:
            return {"error": error_to_json(error)}

    async def _enter(self, ticket: str) -> None:
        self._books.enter(ticket)

    async def _entered(self) -> int:
        return self._books.entered()

    async def _tell(self, sentence: str) -> None:
        self._books.tell(sentence)

    async def _heard(self) -> list[str]:
        return self._books.news()

    async def _ask(self, ticket: str, key: str) -> Json:
        answer, pay = await self._books.ask(ticket, key)
        return {"answer": None if answer is None else answer_to_json(answer), "pay": pay}

    async def _reserve(self, ticket: str, key: str, bound_usd: float) -> bool:
        return self._books.reserve(ticket, key, bound_usd)

    async def _pay(self, ticket: str, key: str, answer: Json) -> None:
        self._books.pay(ticket, key, answer_from_json(answer))

    async def _drop(self, ticket: str, key: str) -> None:
        self._books.drop(ticket, key)

    async def _release(self, ticket: str) -> None:
        self._books.release(ticket)

    async def _replayed(self, n: int) -> None:
        self._books.replayed(n)

    async def _totals(self) -> Json:
        return asdict(self._books.totals())
