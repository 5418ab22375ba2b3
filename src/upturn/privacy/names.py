"""Names of persons, by Presidio. Optional: it loads a language model, and takes milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Protocol, cast

from upturn.errors import MissingExtraError
from upturn.privacy.detectors.base import Span


class Found(Protocol):
    """One result of an analyzer."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def score(self) -> float: ...


class Analyzer(Protocol):
    """What Presidio's ``AnalyzerEngine`` offers, as far as it is used."""

    def analyze(self, *, text: str, language: str, entities: list[str]) -> Iterable[Found]: ...


class Names:
    """Finds names of persons.

    Args:
        analyzer: what finds them; Presidio's own engine where None.
        languages: asked one after the other.
        min_score: findings below are left alone, in [0, 1].

    Raises:
        MissingExtraError: no analyzer is given and the extra [names] is not installed.
    """

    def __init__(
        self,
        analyzer: Analyzer | None = None,
        *,
        languages: Sequence[str] = ("en",),
        min_score: float = 0.5,
    ) -> None:
        self._analyzer = analyzer or _presidio()
        self._languages = tuple(languages)
        self._min_score = min_score

    def find(self, text: str) -> list[Span]:
        """Returns where names stand."""
        if not any(map(str.isalpha, text)):
            return []
        found: set[Span] = set()
        for language in self._languages:
            results = self._analyzer.analyze(text=text, language=language, entities=["PERSON"])
            found |= {(r.start, r.end) for r in results if r.score >= self._min_score}
        return sorted(found)


def _presidio() -> Analyzer:
    try:
        module = import_module("presidio_analyzer")
    except ImportError:
        raise MissingExtraError("names", "taking names of persons out") from None
    return cast(Analyzer, module.AnalyzerEngine())
