"""Feedback to labels: what was right, how sure that is, and why; or an abstention with its reason.

Explicit corrections beat thumbs, thumbs beat implicit signs, contradictions of one rank abstain.
Per output field, the first rule that applies decides:

    correction    a rater said what is right. Two raters who differ: ``correction_conflict``.
    thumbs_up     confirms every field. Set aside where a correction changed the answer: an up is
                  then refuted, a down explained. Up and down: ``thumbs_conflict``. Down alone
                  says what is wrong, not what is right: ``thumbs_down``, unless an edit changed
                  the answer and so says what is right.
    edit          the value that finally stood. Edits that differ, an edit that changed an answer
                  marked kept, or one that left the value of a reopened request:
                  ``implicit_conflict``.
    left_alone    another field was corrected or edited and this one was not: whoever did it saw
                  the whole answer, so it is confirmed, with a lower weight than if they had said
                  so. If nothing was changed and the request was reopened: ``implicit_conflict``.
    kept          nobody changed the answer until the matter was closed. Kept and reopened:
                  ``implicit_conflict``; reopened alone: ``reopened``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from upturn.errors import ConfigError, DataError
from upturn.feedback.events import Feedback, Log, Request
from upturn.feedback.evidence import Claim, Evidence, changed, gather
from upturn.feedback.raters import RaterReport, TrustRules, judge_raters
from upturn.records import Example, Json, canonical_json


@dataclass(frozen=True, kw_only=True)
class LabelRules:
    """The weight in (0, 1] of a label by the rule that gave it, and whom to trust.

    Attributes:
        correction: somebody said what is right.
        thumbs_up: a trusted rater approved the whole answer.
        edit: the value that finally stood, which nobody vouched for.
        left_alone: a field that a correction or an edit of another field did not touch.
        kept: silence; weak, because unread answers are kept too.
        trust: when a rater's thumbs are ignored.
    """

    correction: float = 1.0
    thumbs_up: float = 0.8
    edit: float = 0.7
    left_alone: float = 0.6
    kept: float = 0.4
    trust: TrustRules = field(default_factory=TrustRules)

    def __post_init__(self) -> None:
        for name in ("correction", "thumbs_up", "edit", "left_alone", "kept"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"labels.{name} must be in (0, 1], got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class FieldLabel:
    """The right value of one output field, its weight in (0, 1], the rule and events behind it."""

    value: Json
    weight: float
    reason: str
    event_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LabelledRequest:
    """A request of which every output field has a label."""

    request: Request
    fields: Mapping[str, FieldLabel]

    def to_example(self) -> Example:
        """Returns the row: the weight of its least certain field, and all reasons and events."""
        labels = self.fields.values()
        events = sorted({e for label in labels for e in label.event_ids})
        return Example(
            id=self.request.id,
            inputs=self.request.inputs,
            labels={name: label.value for name, label in self.fields.items()},
            group=self.request.user or self.request.id,
            time=self.request.time,
            weight=min(label.weight for label in labels),
            reason="+".join(sorted({label.reason for label in labels})),
            event_ids=(self.request.id, *events),
            slices=self.request.slices,
        )


@dataclass(frozen=True, kw_only=True)
class Abstention:
    """A request without a label, and why."""

    request_id: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """What a log gave: labelled requests, abstentions, and a report on the raters.

    Every request of the log is in exactly one of ``rows`` and ``abstentions``.
    """

    rows: tuple[LabelledRequest, ...]
    abstentions: tuple[Abstention, ...]
    raters: tuple[RaterReport, ...]

    @property
    def reasons(self) -> dict[str, int]:
        """Abstentions by reason, the most frequent first."""
        return dict(Counter(a.reason for a in self.abstentions).most_common())

    @property
    def distrusted(self) -> tuple[RaterReport, ...]:
        return tuple(r for r in self.raters if not r.trusted)

    def examples(self) -> list[Example]:
        """Returns the rows of a snapshot, sorted by id.

        Raises:
            DataError: no request has a label; the message counts the reasons.
        """
        if not self.rows:
            counts = ", ".join(f"{n} {reason}" for reason, n in self.reasons.items())
            raise DataError(
                "feedback must give at least one request a label, got none of "
                f"{len(self.abstentions)}: {counts}",
                fix="collect corrections, or lower min_age_hours if requests are too_young",
            )
        return [row.to_example() for row in self.rows]


def compile_labels(
    log: Log, *, now: datetime, min_age_hours: float, rules: LabelRules | None = None
) -> Labelling:
    """Turns a checked log into labels.

    Feedback later than ``now`` is not seen, so the same log compiled for an earlier time gives
    what was known then. Requests with an error (``request_error``) or younger than
    ``min_age_hours`` (``too_young``: corrections may still come) are abstained from.

    Args:
        log: from :func:`upturn.feedback.read_log`.
        now: the time to compile for, with a zone.
        min_age_hours: how old a request must be, in hours.
        rules: weights and trust; the defaults of :class:`LabelRules` where None.
    """
    rules = rules or LabelRules()
    answered = {r.id: r for r in log.requests if r.error is None}
    feedback: dict[str, list[Feedback]] = {}
    for f in log.feedback:
        if f.request_id in answered and datetime.fromisoformat(f.time) <= now:
            feedback.setdefault(f.request_id, []).append(f)
    raters = judge_raters(answered, feedback, rules.trust)
    careless = frozenset(r.rater for r in raters if not r.trusted)
    newest = now - timedelta(hours=min_age_hours)
    rows: list[LabelledRequest] = []
    abstentions: list[Abstention] = []
    for request in log.requests:
        result = _label(request, feedback.get(request.id, []), careless, newest, rules)
        if isinstance(result, str):
            abstentions.append(Abstention(request_id=request.id, reason=result))
        else:
            rows.append(LabelledRequest(request=request, fields=result))
    return Labelling(rows=tuple(rows), abstentions=tuple(abstentions), raters=raters)


def _label(
    request: Request,
    feedback: list[Feedback],
    careless: frozenset[str],
    newest: datetime,
    rules: LabelRules,
) -> dict[str, FieldLabel] | str:
    """Returns a label for every output field, or the reason why there is none."""
    if request.error is not None:
        return "request_error"
    if datetime.fromisoformat(request.time) > newest:
        return "too_young"
    seen = gather(feedback)
    evidence = seen.without_thumbs_of(careless)
    labels: dict[str, FieldLabel] = {}
    for name in request.outputs:
        label = _label_field(name, request.outputs, evidence, rules)
        if label == "no_feedback" and evidence != seen:
            return "rater_distrusted"
        if isinstance(label, str):
            return label
        labels[name] = label
    return labels


def _label_field(
    name: str, outputs: Mapping[str, Json], evidence: Evidence, rules: LabelRules
) -> FieldLabel | str:
    if name in evidence.corrections:
        return _agreed(evidence.corrections[name], rules.correction, "correction")
    decided = _by_thumbs(name, outputs, evidence, rules)
    if decided is not None:
        return decided
    if name in evidence.edits:
        return _by_edit(name, outputs, evidence, rules)
    for claims in (evidence.corrections, evidence.edits):
        if claims:
            if evidence.reopened and not changed(claims, outputs):
                return "implicit_conflict"
            events = tuple(c.event_id for many in claims.values() for c in many)
            return _keep(outputs[name], rules.left_alone, "left_alone", events)
    return _by_silence(name, outputs, evidence, rules)


def _by_thumbs(
    name: str, outputs: Mapping[str, Json], evidence: Evidence, rules: LabelRules
) -> FieldLabel | str | None:
    """Returns what thumbs decide, or None where they are absent, refuted or explained."""
    if not (evidence.up or evidence.down) or changed(evidence.corrections, outputs):
        return None
    if evidence.up and evidence.down:
        return "thumbs_conflict"
    if evidence.up:
        events = tuple(f.id for f in evidence.up)
        return _keep(outputs[name], rules.thumbs_up, "thumbs_up", events)
    return None if changed(evidence.edits, outputs) else "thumbs_down"


def _by_edit(
    name: str, outputs: Mapping[str, Json], evidence: Evidence, rules: LabelRules
) -> FieldLabel | str:
    label = _agreed(evidence.edits[name], rules.edit, "edit")
    if isinstance(label, str):
        return label
    same = canonical_json(label.value) == canonical_json(outputs[name])
    contradicted = evidence.reopened if same else evidence.kept
    explained = same and changed(evidence.edits, outputs)
    return "implicit_conflict" if contradicted and not explained else label


def _by_silence(
    name: str, outputs: Mapping[str, Json], evidence: Evidence, rules: LabelRules
) -> FieldLabel | str:
    if evidence.reopened:
        return "implicit_conflict" if evidence.kept else "reopened"
    if evidence.kept:
        return _keep(outputs[name], rules.kept, "kept", tuple(f.id for f in evidence.kept))
    return "no_feedback"


def _agreed(claims: tuple[Claim, ...], weight: float, reason: str) -> FieldLabel | str:
    if len({c.key for c in claims}) > 1:
        return "correction_conflict" if reason == "correction" else "implicit_conflict"
    return _keep(claims[0].value, weight, reason, tuple(c.event_id for c in claims))


def _keep(value: Json, weight: float, reason: str, events: tuple[str, ...]) -> FieldLabel:
    return FieldLabel(value=value, weight=weight, reason=reason, event_ids=tuple(sorted(events)))
