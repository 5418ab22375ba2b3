"""What a compilation gives: labels with their evidence, or abstentions with their reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from upturn.errors import DataError
from upturn.events.records import Request
from upturn.labels.calibration import CalibrationReport
from upturn.labels.raters import RaterReport
from upturn.records import Example, Json


class Evidence(NamedTuple):
    """One reading that counted: the events behind it, who gave it, the rule, and what it says.

    ``value`` is what it says is right, where it names a value. ``weight`` is the log of how much
    more probable the signal is where what it says is so than where it is not; 0.0 where its source
    tells nothing.
    """

    events: tuple[str, ...]
    rater: str
    rule: str
    says: str
    value: Json
    weight: float


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldLabel:
    """The right value of one output field.

    Attributes:
        value: what is held to be right.
        probability: that it is, in (0, 1].
        reason: id of the rule that says most for it.
        evidence: all that was weighed, for and against.
    """

    value: Json
    probability: float
    reason: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldAbstention:
    """An output field without a label, why, and what was weighed."""

    reason: str
    evidence: tuple[Evidence, ...] = ()


FieldResult = FieldLabel | FieldAbstention


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledRequest:
    """A request of which every output field has a label.

    Attributes:
        request: the request, without the raw record it was imported from.
        fields: output field -> label.
        right: probability that the answer as a whole is right.
        notes: what people wrote about the answer; see :mod:`upturn.labels.notes`.
    """

    request: Request
    fields: Mapping[str, FieldLabel]
    right: float
    notes: tuple[str, ...] = ()

    def to_example(self) -> Example:
        """Returns the row: the weight of its least certain field, all reasons and all events."""
        labels = self.fields.values()
        events = {i for label in labels for e in label.evidence for i in e.events}
        request = self.request
        return Example(
            id=request.id,
            inputs=request.inputs,
            labels={name: label.value for name, label in self.fields.items()},
            group=request.user or request.id,
            time=request.time,
            weight=min(label.probability for label in labels),
            reason="+".join(sorted({label.reason for label in labels})),
            event_ids=(request.id, *sorted(events)),
            slices=request.slices,
            consent=None if request.consent is None else tuple(map(str, request.consent)),
            notes=self.notes,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Abstention:
    """A request without a label for every field.

    Attributes:
        request_id: the request.
        reason: why its first field without a label has none.
        fields: output field -> what is known of it; empty where nothing was weighed.
        right: probability that the answer as a whole is right; None where nothing was weighed.
    """

    request_id: str
    reason: str
    fields: Mapping[str, FieldResult] = field(default_factory=dict)
    right: float | None = None


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """What a source gave: labelled requests, abstentions, and reports.

    Every request that somebody spoke of is in exactly one of ``rows`` and ``abstentions``; those
    of whom nobody spoke are only counted.

    Attributes:
        rows, abstentions: by request id.
        silent: reason -> requests without feedback.
        raters: everybody who ever judged, by name.
        calibration: how the probabilities compare with reviews; None where too few were reviewed.
    """

    rows: tuple[LabelledRequest, ...]
    abstentions: tuple[Abstention, ...]
    silent: Mapping[str, int]
    raters: tuple[RaterReport, ...]
    calibration: CalibrationReport | None = None

    @property
    def reasons(self) -> dict[str, int]:
        """Requests without a label by reason, the most frequent first."""
        counts = Counter(a.reason for a in self.abstentions)
        return dict((counts + Counter(self.silent)).most_common())

    @property
    def distrusted(self) -> tuple[RaterReport, ...]:
        return tuple(r for r in self.raters if not r.trusted)

    @property
    def right(self) -> dict[str, float]:
        """Request id -> probability that the answer is right, where anything was weighed."""
        known = {a.request_id: a.right for a in self.abstentions if a.right is not None}
        return known | {row.request.id: row.right for row in self.rows}

    def examples(self) -> list[Example]:
        """Returns the rows of a snapshot, sorted by id.

        Raises:
            DataError: no request has a label; the message counts the reasons.
        """
        if not self.rows:
            counts = ", ".join(f"{n} {reason}" for reason, n in self.reasons.items())
            raise DataError(
                "feedback must give at least one request a label, got none of "
                f"{sum(self.reasons.values())}: {counts}",
                fix="collect corrections, or lower min_age_hours if requests are too_young",
            )
        return [row.to_example() for row in self.rows]
