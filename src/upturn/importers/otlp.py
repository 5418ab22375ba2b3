"""OTLP/JSON: spans by the GenAI conventions, and what evaluations say about them.

A record is an export request (``resourceSpans``, one a line as the collector's file exporter writes
it) or a batch of logs (``resourceLogs``), of which only evaluations are read; metrics hold nothing.

- Every span is a request ``<trace id>-<span id>`` (a span id alone is unique only in its trace),
  with ``raw`` the span. Its program is the span's name; user, session and version come from
  ``user.id``, ``gen_ai.conversation.id`` and the agent's, the prompt's or the service's version.
- ``gen_ai.evaluation.*`` is feedback of a judge; the rater is the evaluation's name.

:func:`from_protobuf` makes the same JSON from what an exporter sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import ClassVar

from upturn.events.problems import found
from upturn.importers._otlp_protobuf import from_protobuf
from upturn.importers._otlp_spans import record_evaluation, span_outcomes
from upturn.importers._otlp_values import attributes
from upturn.importers._reading import Outcome, as_object, each
from upturn.importers.base import RejectedError
from upturn.records import Json

__all__ = ["IMPORTER", "OtlpImporter", "from_protobuf"]

_BATCHES = ("resourceSpans", "resourceLogs", "resourceMetrics")


class OtlpImporter:
    """See the module."""

    name: ClassVar[str] = "otlp"
    title: ClassVar[str] = "OpenTelemetry (OTLP/JSON)"

    def recognises(self, record: Mapping[str, Json]) -> bool:
        return any(isinstance(record.get(key), list) for key in _BATCHES)

    def events(self, record: Mapping[str, Json]) -> Iterable[Outcome]:
        if "resourceSpans" in record:
            return each(record, "resourceSpans", _spans)
        if "resourceLogs" in record:
            return each(record, "resourceLogs", _logs)
        if "resourceMetrics" in record:
            return ()
        keys = found(sorted(record)[:8])
        raise RejectedError("resourceSpans", f"must be a list of resources, got the keys {keys}")


def _spans(batch: dict[str, Json]) -> Iterator[Outcome]:
    resource = attributes(as_object(batch.get("resource") or {}))
    read = partial(span_outcomes, resource)
    yield from each(batch, "scopeSpans", lambda scope: each(scope, "spans", read))


def _logs(batch: dict[str, Json]) -> Iterator[Outcome]:
    yield from each(batch, "scopeLogs", lambda scope: each(scope, "logRecords", record_evaluation))


IMPORTER = OtlpImporter()
