"""MLflow traces (v3) with their assessments: files of ``Trace.to_dict``, or a live tracking store.

A record is a trace ``{"info": …, "data": {"spans": …}}``, a row of ``mlflow.search_traces`` with
the same columns, or an object with a list of ``traces``; ``mlflow_store.records`` reads a live
store.

- The trace is a request with the trace's id, and stands for its first root span too. Every other
  span is a request ``<trace id>/<span id in hex>``.
- An assessment is feedback about the trace, or about the span that it names. Feedback of true or
  false is thumbs, a number a score, a text a category, an object one event for each entry, and a
  rationale alone a comment. An expectation is a correction: of the whole answer where its name says
  so (``expected_response``), else of the field it is named after; what is no answer (facts,
  guidelines, documents) is a comment. An assessment that is no longer valid was withdrawn or
  replaced, and one with an error holds no judgement; both are rejected.
- HUMAN feedback comes from a customer, a HUMAN expectation from a reviewer, for only who labels
  states one; LLM_JUDGE from a judge and CODE from the system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import ClassVar, cast

from upturn.events import Request
from upturn.importers._mlflow_assessments import assessment
from upturn.importers._mlflow_spans import (
    Trace,
    attribute,
    error_of,
    is_root,
    span_id,
    span_request,
)
from upturn.importers._reading import Outcome, each, first_text, labels, loose, tokens
from upturn.importers.base import RejectedError
from upturn.importers.fields import (
    decoded,
    fields,
    iso_time,
    mapping,
    optional_amount,
    salvage,
    text,
)
from upturn.records import Json

_OURS = "mlflow."  # tags and metadata of MLflow's own bookkeeping


class MlflowImporter:
    """See the module."""

    name: ClassVar[str] = "mlflow"
    title: ClassVar[str] = "MLflow"

    def recognises(self, record: Mapping[str, Json]) -> bool:
        traces = record.get("traces")
        if isinstance(traces, list):
            return any(isinstance(t, dict) and self.recognises(t) for t in traces[:3])
        info = loose(record.get("info"))
        return "trace_metadata" in record or "trace_metadata" in info or "trace_location" in info

    def events(self, record: Mapping[str, Json]) -> Iterable[Outcome]:
        if "traces" in record:
            return each(record, "traces", self.events)
        whole = "info" in record
        info = mapping(record, "info") if whole else record
        data = mapping(record, "data") if whole else record
        root = _root(data)
        metadata = loose(info.get("trace_metadata"))
        trace = Trace(
            id=text(info, "trace_id"),
            root=_root_id(root),
            user=first_text(metadata, "mlflow.trace.user"),
            session=first_text(metadata, "mlflow.trace.session"),
        )
        return _outcomes(trace, info, data, partial(_request, trace, info, root, record))


def _outcomes(
    trace: Trace,
    info: Mapping[str, Json],
    data: Mapping[str, Json],
    request: Callable[[], Iterator[Request]],
) -> Iterator[Outcome]:
    parts = (
        request,
        lambda: each(data, "spans", partial(span_request, trace)),
        lambda: each(info, "assessments", partial(assessment, trace)),
    )
    return salvage(parts)


def _root(data: Mapping[str, Json]) -> dict[str, Json]:
    """Returns the first span that has no parent, which the trace stands for; {} where none has."""
    spans = decoded(data.get("spans"))
    for span in cast(list[Json], spans) if isinstance(spans, list) else []:
        if is_root(span):
            return loose(span)
    return {}


def _root_id(root: Mapping[str, Json]) -> str | None:
    try:
        return span_id(root.get("span_id"), "span_id")
    except RejectedError:
        return None  # the span itself is rejected where the spans are read


def _request(
    trace: Trace, info: Mapping[str, Json], root: Mapping[str, Json], raw: Mapping[str, Json]
) -> Iterator[Request]:
    metadata, tags = loose(info.get("trace_metadata")), loose(info.get("tags"))
    error = (error_of(root) or "ERROR") if info.get("state") == "ERROR" else None
    yield Request(
        id=trace.id,
        time=iso_time(info.get("request_time"), "request_time"),
        program=first_text(tags, "mlflow.traceName") or first_text(root, "name") or "mlflow",
        inputs=_side(info, root, metadata, "Inputs", "input"),
        outputs={} if error else _side(info, root, metadata, "Outputs", "output"),
        user=trace.user,
        session=trace.session,
        version=_version(metadata, tags),
        model=first_text({"model": attribute(root, "mlflow.llm.model")}, "model"),
        latency_ms=optional_amount(info, "execution_duration_ms", "execution_duration"),
        usage=tokens(loose(metadata.get("mlflow.trace.tokenUsage"))),
        cost_usd=optional_amount(loose(metadata.get("mlflow.trace.cost")), "total_cost"),
        error=error,
        slices=labels(_own(metadata) | _own(tags), None),
        origin="mlflow",
        raw=raw,
    )


def _side(
    info: Mapping[str, Json],
    root: Mapping[str, Json],
    metadata: Mapping[str, Json],
    side: str,
    name: str,
) -> dict[str, Json]:
    """Returns what went in or came out, where it is whole: the root span has it, metadata and
    previews may be cut."""
    column = {"input": "request", "output": "response"}[name]
    for value in (
        attribute(root, f"mlflow.span{side}"),
        info.get(column),
        metadata.get(f"mlflow.trace{side}"),
        info.get(f"{column}_preview"),
    ):
        if value is not None and value != "":
            return fields(value, name)
    return {}


def _version(metadata: Mapping[str, Json], tags: Mapping[str, Json]) -> str | None:
    model = first_text(metadata, "mlflow.modelId")
    prompts = decoded(tags.get("mlflow.linkedPrompts"))
    for prompt in cast(list[Json], prompts) if isinstance(prompts, list) else []:
        linked = loose(prompt)
        if model is None and linked.get("name") and linked.get("version"):
            return f"{linked['name']}@{linked['version']}"
    return model or first_text(metadata, "mlflow.source.git.commit")


def _own(values: Mapping[str, Json]) -> dict[str, Json]:
    return {k: v for k, v in values.items() if not k.startswith(_OURS)}


IMPORTER = MlflowImporter()
