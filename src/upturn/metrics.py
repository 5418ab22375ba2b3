"""What a metric may be, and how its answer becomes a score.

A metric is a plain Python function, usually written beside the program:

    def metric(example, prediction, trace=None): return example.team == prediction.team

It gets the labelled example and the program's prediction, both with their fields as attributes, and
returns a score in [0, 1] (a bool counts as 0 or 1), or a mapping with ``score`` and named parts, or
``None`` where it has nothing to say about this row. Anything else is an error, never a zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from upturn.errors import MetricError

MetricFunction = Callable[..., Any]

_RULE = "must return a finite number in [0, 1], a bool, None, or a mapping with 'score'"


@dataclass(frozen=True, kw_only=True)
class Score:
    """A metric's answer for one row: ``value`` is None where the row cannot be scored."""

    value: float | None
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A user's metric with the name that errors and fingerprints use.

    Attributes:
        function: called as ``function(example, prediction)``.
        name: where it came from, e.g. ``programs/ticket_triage.py:metric``.
        fingerprint: hash of the file it came from.
    """

    function: MetricFunction
    name: str
    fingerprint: str = ""

    def __call__(self, example: Any, prediction: Any, *, example_id: str) -> Score:
        """Scores one row.

        Raises:
            MetricError: the function raised, or returned what is no score.
        """
        try:
            answer = self.function(example, prediction)
        except Exception as error:  # the user's code may raise anything; the row must not become 0
            raise MetricError(
                f"the metric raised {type(error).__name__}: {error} (row {example_id})",
                where=self.name,
                fix="mend the metric, or return None for rows that it cannot score",
            ) from error
        return self._score(answer, example_id)

    def _score(self, answer: Any, example_id: str) -> Score:
        if answer is None:
            return Score(value=None)
        if isinstance(answer, Mapping):
            return self._from_mapping(answer, example_id)
        return Score(value=self._number(answer, "the metric", example_id))

    def _from_mapping(self, answer: Mapping[Any, Any], example_id: str) -> Score:
        if "score" not in answer:
            raise self._error(
                f"the metric {_RULE}, got the keys {sorted(map(str, answer))}", example_id
            )
        parts = {
            str(k): self._number(v, f"part {k!r}", example_id)
            for k, v in answer.items()
            if k != "score" and v is not None
        }
        if answer["score"] is None:
            return Score(value=None, parts=parts)
        return Score(value=self._number(answer["score"], "'score'", example_id), parts=parts)

    def _number(self, value: Any, what: str, example_id: str) -> float:
        try:
            number = float(value) if not isinstance(value, str) else math.nan
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number) or not 0.0 <= number <= 1.0:
            raise self._error(f"{what} {_RULE}, got {value!r}", example_id)
        return number

    def _error(self, what: str, example_id: str) -> MetricError:
        return MetricError(
            f"{what} (row {example_id})", where=self.name, fix="mend the metric's return value"
        )
