"""Why one request has the labels it has: each event, how it was read, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from upturn.events.records import Feedback, Request
from upturn.labels.labelling import (
    Abstention,
    Evidence,
    FieldAbstention,
    FieldLabel,
    FieldResult,
    LabelledRequest,
    Labelling,
)
from upturn.labels.raters import RaterReport
from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class Why:
    """The chain of one request: its events in order, and every field's evidence and result."""

    request: Request
    feedback: Sequence[Feedback]
    result: LabelledRequest | Abstention
    raters: Mapping[str, RaterReport]

    def to_json(self) -> dict[str, Json]:
        """Returns the chain; texts of users are values in it."""
        reason = self.result.reason if isinstance(self.result, Abstention) else None
        return {
            "request_id": self.request.id,
            "time": self.request.time,
            "program": self.request.program,
            "inputs": dict(self.request.inputs),
            "outputs": dict(self.request.outputs),
            "abstained": reason,
            "events": [self._event(f) for f in self.feedback],
            "fields": {name: _field(r) for name, r in self.result.fields.items()},
        }

    def _event(self, f: Feedback) -> dict[str, Json]:
        report = self.raters.get(f.rater)
        return {
            "id": f.id,
            "time": f.time,
            "signal": str(f.signal),
            "value": f.value,
            "rater": f.rater,
            "role": str(f.role),
            "rater_report": report.why if report else None,
            "read_as": self._readings(f.id),
        }

    def _readings(self, event_id: str) -> list[dict[str, Json]]:
        return [
            {"field": name, "rule": e.rule, "says": says(e), "weight": e.weight}
            for name, result in self.result.fields.items()
            for e in result.evidence
            if event_id in e.events
        ]


def explain(labelling: Labelling, request: Request, feedback: Sequence[Feedback]) -> Why:
    """Returns the chain of one request of a labelling.

    Args:
        labelling: of all requests, because who is reliable shows only on all of them.
        request, feedback: the request, and what was said of it, by time.
    """
    made = (row for row in labelling.rows if row.request.id == request.id)
    silent = Abstention(request_id=request.id, reason="no_feedback")
    left = (a for a in labelling.abstentions if a.request_id == request.id)
    result = next(made, None) or next(left, silent)
    raters = {r.rater: r for r in labelling.raters}
    return Why(request=request, feedback=feedback, result=result, raters=raters)


def says(evidence: Evidence) -> str:
    """Returns what a piece of evidence says, with the value where it names one."""
    return evidence.says if evidence.value is None else f"{evidence.value!r} is right"


def _field(result: FieldResult) -> dict[str, Json]:
    if isinstance(result, FieldAbstention):
        return {"label": None, "probability": None, "abstained": result.reason}
    return {"label": result.value, "probability": result.probability, "abstained": None}


def lines(why: Why) -> list[str]:
    """Returns the chain as text for a person."""
    told = why.to_json()
    out = [f"request {told['request_id']}  {told['time'][:19]}  {told['program']}"]
    out += [f"  answered {name} = {value!r}" for name, value in told["outputs"].items()]
    for event in told["events"]:
        out.append(
            f"  {event['time'][:19]}  {event['signal']} = {event['value']!r}"
            f"  by {event['rater']} ({event['role']})"
        )
        out += [
            f"      {r['field']}: rule {r['rule']}: {r['says']}, weight {r['weight']:+.2f}"
            for r in event["read_as"]
        ] or ["      read as nothing: set aside, later replaced, or it says nothing alone"]
        if event["rater_report"]:
            out.append(f"      {event['rater_report']}")
    for name, result in why.result.fields.items():
        if isinstance(result, FieldLabel):
            out.append(
                f"  => {name} = {result.value!r}, probability {result.probability:.3f} "
                f"({result.reason})"
            )
        else:
            out.append(f"  => {name}: no label, {result.reason}")
    if isinstance(why.result, Abstention):
        out.append(f"  => no row: {why.result.reason}")
    return out
