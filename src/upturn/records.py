"""Frozen records: what flows between the parts. Keyword-only, JSON-ready, named by their content.

Nothing here does work on the outside world. A score is a fraction; ``None`` means "not known",
never zero. Times are ISO 8601 strings with a zone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = Any  # what json.dumps takes; a recursive alias buys nothing and costs readability


def canonical_json(value: Json) -> str:
    """Returns the one JSON text of a value: sorted keys, no blanks, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def content_hash(value: Json, *, length: int = 64) -> str:
    """Returns the first ``length`` hex digits of the sha256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One labelled row of a snapshot.

    Attributes:
        id: stable id (the request's id, or a content hash).
        inputs: input field -> value.
        labels: output field -> the value held to be right.
        group: rows of one group never straddle two splits (customer, near-duplicate cluster).
        time: when the request was made (ISO 8601 with zone), or "" where unknown.
        weight: confidence of the label in (0, 1].
        reason: the rule that gave the label.
        event_ids: the events the row came from.
        slices: slice name -> value, for guards and reports.
        consent: the purposes that whoever sent it agreed to; None where nothing was stated.
        notes: what people wrote about the answer (comments), for proposers that read them.
    """

    id: str
    inputs: Mapping[str, Json]
    labels: Mapping[str, Json]
    group: str
    time: str = ""
    weight: float = 1.0
    reason: str = ""
    event_ids: tuple[str, ...] = ()
    slices: Mapping[str, str] = field(default_factory=dict)
    consent: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Returns the row as JSON; ``consent`` and ``notes`` only where there are any."""
        row = {name: getattr(self, name) for name in _EXAMPLE_KEYS}
        if self.consent is not None:
            row["consent"] = list(self.consent)
        if self.notes:
            row["notes"] = list(self.notes)
        return row

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Example:
        consent = value.get("consent")
        made: dict[str, Json] = {
            **value,
            "event_ids": tuple(value.get("event_ids", ())),
            "consent": None if consent is None else tuple(consent),
            "notes": tuple(value.get("notes", ())),
        }
        return cls(**made)


_EXAMPLE_KEYS = (
    *("id", "inputs", "labels", "group", "time", "weight", "reason", "event_ids", "slices"),
)


class Outcome(StrEnum):
    """What became of one row. A failure is never a score, and never absent."""

    SCORED = "scored"
    UNSCORED = "unscored"  # the metric had nothing to say (returned None)
    FAILED = "failed"


class FailureKind(StrEnum):
    """Whose fault a failed row is."""

    FORMAT = "format"  # the model answered, the answer could not be parsed
    PROGRAM = "program"  # the program's own code raised
    OUTAGE = "outage"  # transport, server, rate limit, time-out: the world's fault
    BUDGET = "budget"  # a cap was reached before the row could run


#: Failures that the program itself causes: in production they are wrong answers.
OWN_FAILURES = frozenset({FailureKind.FORMAT, FailureKind.PROGRAM})


@dataclass(frozen=True, kw_only=True)
class Row:
    """One example's outcome under one candidate.

    Attributes:
        example_id: the example.
        group: the example's group, carried so that statistics can cluster.
        outcome: scored, unscored or failed.
        score: the metric's score in [0, 1] where scored, else None.
        parts: named sub-scores, where the metric gave any.
        outputs: output field -> answer; empty where failed.
        failure: kind of failure, or None.
        message: the failure's message, cut to 500 characters.
        latency_s, cost_usd, input_tokens, output_tokens: summed over the row's model calls.
        calls: model calls the row made; cached_calls: how many of these were not paid for now.
        slices: the example's slices.
        runs: the runs that this row sums up, where the example was run several times.
    """

    example_id: str
    group: str
    outcome: Outcome
    score: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    outputs: Mapping[str, Json] = field(default_factory=dict)
    failure: FailureKind | None = None
    message: str = ""
    latency_s: float = 0.0
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    cached_calls: int = 0
    slices: Mapping[str, str] = field(default_factory=dict)
    runs: tuple[Row, ...] = ()

    @property
    def value(self) -> float | None:
        """The score that aggregates use: own failures are 0, the world's failures are unknown."""
        if self.outcome is Outcome.FAILED and self.failure in OWN_FAILURES:
            return 0.0
        return self.score


@dataclass(frozen=True, kw_only=True)
class PromptState:
    """What the search may set on one predictor: its instruction and its demos."""

    instruction: str
    demos: tuple[Mapping[str, Json], ...] = ()

    def to_json(self) -> dict[str, Json]:
        return {"instruction": self.instruction, "demos": [dict(d) for d in self.demos]}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A whole program state: predictor name -> prompt state. Its id is its content.

    Attributes:
        states: predictor name -> state, for every predictor of the program.
        choices: where it came from, e.g. ``{"predict.instruction": "i-seed"}``; not part of the id.
        settings: how it is run, where that differs from the config: ``temperature`` (number),
            ``adapter`` ("chat", "json", "xml"), ``module`` ("predict", "cot"), ``model`` (a name),
            ``weights`` (a trained adapter's id), ``rollout`` (which of several answers).
    """

    states: Mapping[str, PromptState]
    choices: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Json] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return content_hash(self._content(), length=12)

    def to_json(self) -> dict[str, Json]:
        settings = {"settings": dict(self.settings)} if self.settings else {}
        return {
            "states": {k: s.to_json() for k, s in self.states.items()},
            "choices": dict(self.choices),
            **settings,
        }

    def _content(self) -> Json:
        states = {k: s.to_json() for k, s in self.states.items()}
        # A candidate without settings keeps the id that it had before there were any.
        return [states, dict(self.settings)] if self.settings else states

    @property
    def prompt_chars(self) -> int:
        """Length of the prompt's own text: of equals the shorter wins."""
        return sum(len(str(s.to_json())) for s in self.states.values())

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Candidate:
        states = {
            k: PromptState(instruction=s["instruction"], demos=tuple(s["demos"]))
            for k, s in value["states"].items()
        }
        return cls(
            states=states,
            choices=dict(value.get("choices", {})),
            settings=dict(value.get("settings", {})),
        )


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The rows of one candidate on one set of examples, with aggregates that state their counts."""

    candidate_id: str
    rows: tuple[Row, ...]

    def count(self, outcome: Outcome) -> int:
        return sum(r.outcome is outcome for r in self.rows)

    def failures(self, *kinds: FailureKind) -> int:
        """Returns how many rows failed, of the given kinds or of any."""
        return sum(r.failure is not None and (not kinds or r.failure in kinds) for r in self.rows)

    @property
    def score(self) -> float | None:
        """Mean of ``Row.value`` over the rows where it is known, or None where it never is."""
        values = [r.value for r in self.rows if r.value is not None]
        return sum(values) / len(values) if values else None

    @property
    def denominator(self) -> str:
        """The counts behind the score, as every report prints them."""
        counts = (self.count(o) for o in (Outcome.SCORED, Outcome.UNSCORED, Outcome.FAILED))
        return "scored {}, unscored {}, failed {}".format(*counts)

    def part(self, name: str) -> float | None:
        """Mean of a named sub-score over the rows whose score is known; own failures count 0."""
        values = [r.parts.get(name, 0.0) for r in self.rows if r.value is not None]
        return sum(values) / len(values) if values else None


@dataclass(frozen=True, kw_only=True)
class Look:
    """One reading of a holdout, as the ledger recorded it before the holdout was opened.

    Attributes:
        holdout: sha256 of the holdout.
        number: 1 for the first look at this holdout.
        alpha: one-sided error level that this look may spend; 0 when the budget is spent.
        turn: id of the turn that looks.
    """

    holdout: str
    number: int
    alpha: float
    turn: str


class Verdict(StrEnum):
    PROMOTE = "PROMOTE"
    HOLD = "HOLD"
    INCONCLUSIVE = "INCONCLUSIVE"


def pair(baseline: Sequence[Row], challenger: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Pairs two evaluations of the same examples by example id.

    Raises:
        AssertionError: the two do not hold the same examples; callers guarantee that they do.
    """
    other = {r.example_id: r for r in challenger}
    assert len(other) == len(baseline), "champion and challenger must run on the same rows"
    return [(b, other[b.example_id]) for b in baseline]
