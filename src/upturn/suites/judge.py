"""A model that grades answers: asked once for each prompt, several at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from upturn.evaluate.crew import Crew
from upturn.lm import classify, ours
from upturn.records import FailureKind

if TYPE_CHECKING:
    from upturn.lm.connect import Connection


class Lost:
    """An answer that the world kept back: it may come when asked again."""


LOST = Lost()


class Judge:
    """Asks a connected model. Answers come from the cache where they were paid for before.

    Args:
        connection: the model, with its cache, meter and caps.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(self, prompts: Sequence[str]) -> list[str | Lost]:
        """Returns what the judge says to each prompt, in order; "" where it said nothing.

        Raises:
            BudgetExceededError: a cap is reached.
            UpturnError: the turn cannot go on otherwise.
        """
        if not prompts:
            return []
        threads = max(1, min(len(prompts), self._connection.spec.concurrency))
        crew = Crew(threads, interrupt=self._connection.interrupt)
        try:
            return crew.run([partial(self._one, prompt) for prompt in prompts])
        finally:
            crew.close()

    def _one(self, prompt: str) -> str | Lost:
        import dspy
        from dspy.utils.exceptions import LMError

        lm: Any = self._connection.lm
        try:
            with dspy.context(disable_history=True):
                said = lm(prompt)
        except Exception as error:
            own = ours(error)
            if own is not None:
                raise own from error
            if classify(error) is FailureKind.OUTAGE:
                return LOST
            if isinstance(error, LMError):  # refused, or too long: asked again it is no other
                return ""
            raise
        first = said[0] if said else ""
        return str(first.get("text") or "") if isinstance(first, dict) else str(first or "")
