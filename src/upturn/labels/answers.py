"""Labels as lines: one for every request and output field, whether it has a label or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from upturn.events.source import EventSource
from upturn.labels.age import Age
from upturn.labels.labelling import FieldAbstention, FieldLabel, FieldResult, Labelling
from upturn.records import Json


def label_lines(
    source: EventSource, labelling: Labelling, age: Age, *, program: str | None = None
) -> Iterator[dict[str, Json]]:
    """Yields the results of all requests, by id; requests are streamed.

    A line holds ``request_id``, ``field``, ``label``, ``probability``, ``rules`` (those that were
    weighed) and ``abstained`` (the reason, or None). ``field`` is None where a request has no
    answer. The label of a field is given even where another field of the request has none.

    Args:
        source, program, age: what the labelling was made of, and for when.
        labelling: of :func:`upturn.labels.compile_labels`.
    """
    known: dict[str, tuple[str | None, Mapping[str, FieldResult]]] = {
        row.request.id: (None, row.fields) for row in labelling.rows
    }
    known |= {a.request_id: (a.reason, a.fields) for a in labelling.abstentions}
    for request in source.requests(program=program):
        reason, fields = known.pop(request.id, (None, {}))
        reason = reason or age.unfit(request.time, request.error is not None) or "no_feedback"
        silent = FieldAbstention(reason=reason)
        for name in request.outputs or (None,):
            yield _line(request.id, name, silent if name is None else fields.get(name, silent))


def _line(request_id: str, name: str | None, result: FieldResult) -> dict[str, Json]:
    labelled = result if isinstance(result, FieldLabel) else None
    return {
        "request_id": request_id,
        "field": name,
        "label": labelled.value if labelled else None,
        "probability": labelled.probability if labelled else None,
        "rules": sorted({e.rule for e in result.evidence}) if result.evidence else [],
        "abstained": result.reason if isinstance(result, FieldAbstention) else None,
    }
