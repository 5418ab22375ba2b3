"""What may be asked of an answer. Each check judges one text and says why it fails.

``Match``, ``Includes``, ``Fuzzy`` and ``JsonEquals`` mean what the classes of those names mean in
OpenAI's Evals (docs/eval-templates.md there): any one of several ideals is enough.
"""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from upturn.records import Json

#: Characters of a text that a reason shows.
_SHOWN = 60
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


class Check(Protocol):
    """One rule for an answer.

    Attributes:
        any_output: it makes sense on every output of a program, so none has to be named.
    """

    any_output: ClassVar[bool]

    def fault(self, text: str) -> str:
        """Returns why the text breaks the rule, or "" where it holds."""
        ...


@dataclass(frozen=True, kw_only=True)
class Match:
    """The answer starts with an ideal; case and blanks count."""

    ideals: tuple[str, ...]
    any_output: ClassVar[bool] = False

    def fault(self, text: str) -> str:
        return "" if text.startswith(self.ideals) else f"must start with {_any(self.ideals)}"


@dataclass(frozen=True, kw_only=True)
class Equals:
    """The answer is an ideal, character by character."""

    ideals: tuple[str, ...]
    any_output: ClassVar[bool] = False

    def fault(self, text: str) -> str:
        return "" if text in self.ideals else f"must be {_any(self.ideals)}"


@dataclass(frozen=True, kw_only=True)
class Includes:
    """The answer contains an ideal; where ``ignore_case``, in any case."""

    ideals: tuple[str, ...]
    ignore_case: bool = False
    any_output: ClassVar[bool] = False

    def fault(self, text: str) -> str:
        found = any(_within(ideal, text, self.ignore_case) for ideal in self.ideals)
        return "" if found else f"must contain {_any(self.ideals)}"


@dataclass(frozen=True, kw_only=True)
class Fuzzy:
    """Answer or ideal contains the other, once case, punctuation, articles and blanks are gone.

    A text of which nothing is left is only like another of which nothing is left.
    """

    ideals: tuple[str, ...]
    any_output: ClassVar[bool] = False

    def fault(self, text: str) -> str:
        mine = normalized(text)
        found = any(_alike(mine, normalized(ideal)) for ideal in self.ideals)
        return "" if found else f"must be about {_any(self.ideals)}"


@dataclass(frozen=True, kw_only=True)
class JsonEquals:
    """The answer is JSON and equals an ideal part by part; ``null`` never equals anything."""

    ideals: tuple[Json, ...]
    any_output: ClassVar[bool] = False

    def fault(self, text: str) -> str:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return "must be JSON"
        found = any(_same(value, ideal) for ideal in self.ideals)
        return "" if found else f"must be the JSON {_any([json.dumps(i) for i in self.ideals])}"


@dataclass(frozen=True, kw_only=True)
class NotIncludes:
    """The answer contains none of the texts; where ``ignore_case``, in no case."""

    texts: tuple[str, ...]
    ignore_case: bool = True
    any_output: ClassVar[bool] = True

    def fault(self, text: str) -> str:
        found = [t for t in self.texts if _within(t, text, self.ignore_case)]
        return f"must not contain {_any(found)}" if found else ""


@dataclass(frozen=True, kw_only=True)
class NotReveals:
    """The answer holds none of the texts, however they are spaced, punctuated or capitalised.

    Only letters and digits are compared, so that a card number in groups of four is still found.
    """

    texts: tuple[str, ...]
    any_output: ClassVar[bool] = True

    def fault(self, text: str) -> str:
        mine = _signs(text)
        # What must not be shown is not shown here either.
        return "must not show what it was to keep" if self._in(mine) else ""

    def _in(self, mine: str) -> bool:
        return any(_signs(secret) in mine for secret in self.texts)


@dataclass(frozen=True, kw_only=True)
class MaxChars:
    """The answer has at most so many characters."""

    most: int
    any_output: ClassVar[bool] = True

    def fault(self, text: str) -> str:
        return "" if len(text) <= self.most else f"must have <= {self.most} characters"


@dataclass(frozen=True, kw_only=True)
class OneOf:
    """The answer is one of the labels."""

    labels: tuple[str, ...]
    any_output: ClassVar[bool] = False

    def fault(self, text: str) -> str:
        return "" if text in self.labels else f"must be one of {_any(self.labels)}"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """There is an answer that is more than blanks and control characters."""

    any_output: ClassVar[bool] = True

    def fault(self, text: str) -> str:
        seen = any(unicodedata.category(c)[0] not in "ZC" for c in text)
        return "" if seen else "must not be blank"


def normalized(text: str) -> str:
    """Lower case, no punctuation, no English articles, single blanks."""
    bare = _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION))
    return " ".join(bare.split())


def _alike(a: str, b: str) -> bool:
    return a == b if not a or not b else a in b or b in a


def _same(value: Json, ideal: Json) -> bool:
    if value is None or ideal is None:
        return False
    kinds = (Mapping, list, bool)
    if any(isinstance(value, k) != isinstance(ideal, k) for k in kinds):
        return False
    if isinstance(value, Mapping):
        return all(_same(value.get(k), ideal.get(k)) for k in {*value, *ideal})
    if isinstance(value, list):
        pairs: Any = zip(value, ideal, strict=False)
        return len(value) == len(ideal) and all(_same(v, i) for v, i in pairs)
    return value == ideal


def _within(part: str, text: str, ignore_case: bool) -> bool:
    return part.lower() in text.lower() if ignore_case else part in text


def _signs(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def _any(texts: Sequence[str]) -> str:
    shown = [repr(t if len(t) <= _SHOWN else t[:_SHOWN] + "…") for t in texts[:3]]
    more = f" or {len(texts) - 3} others" if len(texts) > 3 else ""
    return " or ".join(shown) + more
