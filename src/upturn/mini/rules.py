"""A second output field, ruled by a word, a mark or a length that the instruction may tell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

#: A text of more characters than this "is long".
LONG_TEXT = 60


class RuleKind(StrEnum):
    """What in the text decides."""

    QUESTION = "question"
    LENGTH = "length"
    KEYWORD = "keyword"
    DIGIT = "digit"


_TOLD = {
    RuleKind.QUESTION: "asks a question",
    RuleKind.LENGTH: "is long",
    RuleKind.DIGIT: "has a number",
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How the second field's value follows from the text.

    Attributes:
        field: the field's name.
        kind: what decides.
        values: the field's values; the first is the one that holds where nothing else does. All
            kinds but KEYWORD have two.
        words: for KEYWORD, value -> the word that calls for it; the first found wins.
    """

    field: str
    kind: RuleKind
    values: tuple[str, ...]
    words: Mapping[str, str]

    def value(self, text: str) -> str:
        """Returns the value that the rule gives to a text."""
        if self.kind is RuleKind.KEYWORD:
            low = text.lower()
            found = (v for v, w in self.words.items() if re.search(rf"\b{re.escape(w)}\b", low))
            return next(found, self.values[0])
        holds = {
            RuleKind.QUESTION: "?" in text,
            RuleKind.LENGTH: len(text) > LONG_TEXT,
            RuleKind.DIGIT: re.search(r"\d", text) is not None,
        }[self.kind]
        return self.values[int(holds)]

    def told(self, input_name: str) -> str:
        """Returns the sentences, each after a blank, that tell the rule in an instruction."""
        if self.kind is RuleKind.KEYWORD:
            return _tell_words(self.field, input_name, self.words) + (
                f" Otherwise it is '{self.values[0]}'."
            )
        return (
            f" The {self.field} is '{self.values[1]}' when the {input_name} "
            f"{_TOLD[self.kind]}, else '{self.values[0]}'."
        )


def keyword_rule(field: str, values: Sequence[str], words: Sequence[str]) -> Rule:
    """Returns the rule in which each word calls for one of the values after the first."""
    return Rule(
        field=field,
        kind=RuleKind.KEYWORD,
        values=tuple(values),
        words=dict(zip(values[1:], words, strict=True)),
    )


def _tell_words(field: str, input_name: str, words: Mapping[str, str]) -> str:
    return "".join(
        f" The {field} is '{value}' when the {input_name} mentions {word}."
        for value, word in words.items()
    )
