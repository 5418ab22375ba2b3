"""Answers of one epoch of a model: those of another model under the same name stay aside."""

from __future__ import annotations

from upturn.lm.cache import Answer
from upturn.lm.engine import Answers
from upturn.records import content_hash


class AtEpoch:
    """The same answers, under keys of one epoch. Implements ``Answers``.

    Args:
        answers: where they are kept.
        epoch: how often the model was found to be another one; 0 changes no key.
    """

    def __init__(self, answers: Answers, epoch: int) -> None:
        self._answers = answers
        self._epoch = epoch

    def get(self, key: str) -> Answer | None:
        return self._answers.get(self._key(key))

    def put(self, key: str, answer: Answer) -> None:
        self._answers.put(self._key(key), answer)

    def _key(self, key: str) -> str:
        return content_hash([key, "epoch", self._epoch]) if self._epoch else key


class PastCache:
    """Gives answers from a cache where it is told to, and keeps none. Implements ``Answers``.

    Attributes:
        reads: the cache that is read; None asks the model anew every time.
    """

    def __init__(self) -> None:
        self.reads: Answers | None = None

    def get(self, key: str) -> Answer | None:
        return self.reads.get(key) if self.reads is not None else None

    def put(self, key: str, answer: Answer) -> None:
        """Keeps nothing: the turn's own question may not be answered by a canary."""
