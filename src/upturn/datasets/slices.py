"""Slices: named parts of the data that reports and guards look at apart.

A slice by rule is a JMESPath expression over a row, such as ``inputs.plan`` or
``contains(inputs.message, 'refund')``. A slice by cluster says what a text is about: TF-IDF and
k-means, learned from train alone, named by the words that set it apart. Dev and holdout get theirs
from the same fitted slicer, so that nothing of them shapes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jmespath
import numpy as np
from jmespath.exceptions import JMESPathError
from sklearn.cluster import MiniBatchKMeans
from sklearn.feature_extraction.text import TfidfVectorizer

from upturn.datasets.groups import text_of
from upturn.datasets.near_duplicates import normalise
from upturn.errors import ConfigError, DataError
from upturn.records import Example, Json

_NAMED_BY = 3  # words in a cluster's name
_WORDS = 20_000  # the most frequent ones
_KMEANS: Any = MiniBatchKMeans  # its partial types know texts only
_LONGEST = 80  # characters of a slice's value: more is a text, not a part of the data


@dataclass(frozen=True, kw_only=True)
class SliceRules:
    """Which slices rows get.

    Attributes:
        by_rule: slice name -> JMESPath over ``{"inputs", "labels", "slices", "time"}``; where it
            gives null, or does not fit a row, the row has no such slice.
        clusters: how many clusters of texts; 0 makes none.
        cluster_name: the name of the slice that says which.
        seed: of k-means.
    """

    by_rule: Mapping[str, str] = field(default_factory=dict)
    clusters: int = 0
    cluster_name: str = "topic"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.clusters < 0 or self.clusters == 1:
            raise ConfigError(f"slices: clusters must be 0 or >= 2, got {self.clusters}")
        if self.cluster_name in self.by_rule:
            raise ConfigError(f"slices: {self.cluster_name!r} is the clusters' name and a rule's")
        _compiled(self.by_rule)


class Slicer:
    """Slices that were fixed on train."""

    def __init__(self, rules: SliceRules, clusters: _Clusters | None) -> None:
        self._rules = _compiled(rules.by_rule)
        self._cluster_name = rules.cluster_name
        self._clusters = clusters

    @classmethod
    def fit(cls, train: Sequence[Example], rules: SliceRules) -> Slicer:
        """Learns the clusters from train; the order of the rows has no effect.

        Raises:
            DataError: the rows hold no two texts with words to tell them apart.
        """
        return cls(rules, _Clusters.fit(train, rules) if rules.clusters else None)

    @property
    def clusters(self) -> tuple[str, ...]:
        """The names of the clusters."""
        return self._clusters.names if self._clusters else ()

    def apply(self, rows: Sequence[Example]) -> list[Example]:
        """Returns the rows with their slices, which win over slices of the same name.

        Raises:
            DataError: a rule gives a list, an object or a text of more than 80 characters.
        """
        topics = self._clusters.of(rows) if self._clusters else [""] * len(rows)
        return [self._with_slices(row, topic) for row, topic in zip(rows, topics, strict=True)]

    def _with_slices(self, row: Example, topic: str) -> Example:
        slices = dict(row.slices)
        seen = {
            "inputs": dict(row.inputs),
            "labels": dict(row.labels),
            "slices": slices,
            "time": row.time,
        }
        found = {name: _value(name, rule, seen, row.id) for name, rule in self._rules.items()}
        found[self._cluster_name] = topic
        return replace(row, slices={**slices, **{k: v for k, v in found.items() if v}})


def _compiled(by_rule: Mapping[str, str]) -> dict[str, Any]:
    compiled: dict[str, Any] = {}
    for name, text in by_rule.items():
        try:
            compiled[name] = jmespath.compile(text)
        except JMESPathError as error:
            first = str(error).splitlines()[0]
            raise ConfigError(
                f"must be a JMESPath expression, got {text!r}: {first}", where=f"slices.{name}"
            ) from error
    return compiled


def _value(name: str, rule: Any, seen: Mapping[str, Json], row_id: str) -> str:
    try:
        value = rule.search(seen)
    except JMESPathError:  # such as the length of a number: the rule does not fit this row
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or (isinstance(value, str | int | float) and len(str(value)) <= _LONGEST):
        return "" if value is None else str(value)
    raise DataError(
        f"a slice must be a text of at most {_LONGEST} characters, a number or a bool, got "
        f"{type(value).__name__} {str(value)[:40]!r}",
        where=f"slices.{name}, row {row_id}",
    )


class _Clusters:
    """Fitted clusters and their names."""

    def __init__(self, words: Any, means: Any, names: Sequence[str]) -> None:
        self._words = words
        self._means = means
        self.names = tuple(names)

    @classmethod
    def fit(cls, train: Sequence[Example], rules: SliceRules) -> _Clusters:
        texts = [_text(row) for row in sorted(train, key=lambda e: e.id)]
        count = min(rules.clusters, len(set(texts)))
        words = TfidfVectorizer(
            max_features=_WORDS,
            sublinear_tf=True,
            max_df=0.5,
            token_pattern=r"(?u)\b[^\W\d_]{2,}\b",
        )
        try:
            matrix = words.fit_transform(texts)
        except ValueError as error:
            raise DataError(
                f"clusters need texts with words that tell them apart, got {len(texts)} rows: "
                f"{error}",
                fix="set slices.clusters=0",
            ) from error
        means: Any = _KMEANS(count, random_state=rules.seed, n_init=3, batch_size=1024)
        means.fit(matrix)
        return cls(words, means, _names(means.cluster_centers_, words.get_feature_names_out()))

    def of(self, rows: Sequence[Example]) -> list[str]:
        """Returns each row's cluster; "" where a text has none of the known words."""
        if not rows:
            return []
        matrix = self._words.transform([_text(row) for row in rows])
        known = np.diff(matrix.indptr) > 0
        found = self._means.predict(matrix)
        return [self.names[c] if k else "" for c, k in zip(found, known, strict=True)]


def _text(row: Example) -> str:
    return normalise(text_of(row.inputs))


def _names(centres_CW: Any, words_W: Any) -> list[str]:
    """Returns a name for each centre: its heaviest words, and more of them where names repeat."""
    names: list[str] = []
    for centre_W in np.asarray(centres_CW):
        order = np.lexsort((words_W, -np.round(centre_W, 9)))
        ranked = [str(words_W[i]) for i in order[: _NAMED_BY + len(names)]]
        taken = _NAMED_BY
        while " ".join(ranked[:taken]) in names and taken < len(ranked):
            taken += 1
        name = " ".join(ranked[:taken])
        names.append(name if name not in names else f"{name} {len(names) + 1}")
    return names
