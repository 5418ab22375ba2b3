"""Langfuse: traces, observations and scores, of the blob export and of the API.

The blob export writes ``snake_case`` (JSONL, CSV and Parquet; in CSV objects are JSON in text), the
API ``camelCase``; both are read by the same rules. A trace of the API may hold its observations and
scores, and a page of it is an object with ``data`` and ``meta``.

- A trace and each of its observations is a request; an observation without a parent observation is
  a step of its trace. An observation of level ``ERROR`` failed.
- BOOLEAN scores are thumbs, NUMERIC scores, CATEGORICAL categories, TEXT comments and CORRECTION
  corrections, about the observation where they name one, else about the trace. A score of a session
  or of a dataset run speaks of no one answer and is rejected.
- ANNOTATION comes from a reviewer, EVAL from a judge, API from a customer. The rater is the author,
  or for API the user of the trace where the score tells it, else ``langfuse:<source>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache, partial
from typing import ClassVar

from upturn.events import Request
from upturn.events.problems import found
from upturn.importers._chat import said
from upturn.importers._langfuse_scores import score
from upturn.importers._reading import Outcome, each, labels, loose, tokens
from upturn.importers.base import RejectedError, Rejection
from upturn.importers.fields import (
    fields,
    iso_time,
    milliseconds,
    optional_amount,
    optional_text,
    optional_time,
    salvage,
    text,
)
from upturn.records import Json

_TYPES = frozenset(
    (
        *("GENERATION", "SPAN", "EVENT", "AGENT", "TOOL", "CHAIN"),
        *("RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL"),
    )
)
_SECONDS = 1000.0  # the API gives latency in seconds


class LangfuseImporter:
    """See the module."""

    name: ClassVar[str] = "langfuse"
    title: ClassVar[str] = "Langfuse"

    def recognises(self, record: Mapping[str, Json]) -> bool:
        return _kind(_snake(record)) != ""

    def events(self, record: Mapping[str, Json]) -> Iterable[Outcome]:
        values = _snake(record)
        kind = _kind(values)
        if kind == "":
            keys = found(sorted(record)[:8])
            raise RejectedError("", f"must be a trace, an observation or a score, got keys {keys}")
        if kind == "page":
            return each(record, "data", self.events)
        return self._read(kind, values, record)

    def _read(
        self, kind: str, values: Mapping[str, Json], record: Mapping[str, Json]
    ) -> Iterator[Outcome]:
        for outcome in salvage([partial(_READERS[kind], values, record)]):
            yield _as_written(outcome, record)
        # A trace of the API holds its observations and scores; in a list of traces, only their ids.
        for key in ("observations", "scores") if kind == "trace" else ():
            inner = record.get(key)
            if isinstance(inner, list) and any(isinstance(part, dict) for part in inner):
                yield from each(record, key, self.events)


def _kind(record: Mapping[str, Json]) -> str:
    """What a record is, or "" where it is nothing of Langfuse."""
    if isinstance(record.get("data"), list):
        rows = record["data"]
        ours = any(isinstance(r, dict) and _kind(_snake(r)) for r in rows[:3])
        return "page" if ours and "meta" in record else ""
    if "data_type" in record and ("trace_id" in record or "session_id" in record):
        return "score"
    kind = record.get("type")
    if "parent_observation_id" in record or (
        "trace_id" in record and isinstance(kind, str) and kind in _TYPES
    ):
        return "observation"
    ours = "bookmarked" in record or "project_id" in record
    return "trace" if "timestamp" in record and ours else ""


def _trace(r: Mapping[str, Json], raw: Mapping[str, Json]) -> Iterator[Request]:
    seconds = optional_amount(r, "latency")
    yield Request(
        id=text(r, "id"),
        time=iso_time(r.get("timestamp"), "timestamp"),
        program=optional_text(r, "name") or "langfuse",
        inputs=fields(r.get("input"), "input"),
        outputs=said(r.get("output")),
        user=optional_text(r, "user_id"),
        session=optional_text(r, "session_id"),
        version=optional_text(r, "version", "release"),
        latency_ms=None if seconds is None else seconds * _SECONDS,
        cost_usd=optional_amount(r, "total_cost"),
        slices=labels(r.get("metadata"), r.get("tags"), environment=r.get("environment")),
        origin="langfuse",
        raw=raw,
    )


def _observation(r: Mapping[str, Json], raw: Mapping[str, Json]) -> Iterator[Request]:
    kind, trace = optional_text(r, "type") or "SPAN", text(r, "trace_id")
    error = (optional_text(r, "status_message") or "ERROR") if r.get("level") == "ERROR" else None
    start = iso_time(r.get("start_time"), "start_time")
    more = {"environment": r.get("environment"), "type": kind}
    yield Request(
        id=text(r, "id"),
        time=start,
        program=optional_text(r, "name") or kind.lower(),
        inputs=fields(r.get("input"), "input"),
        outputs={} if error else said(r.get("output")),
        user=optional_text(r, "user_id"),
        session=optional_text(r, "session_id"),
        version=optional_text(r, "version") or _prompt(r) or optional_text(r, "release"),
        model=optional_text(r, "provided_model_name", "model"),
        parent=optional_text(r, "parent_observation_id") or trace,
        latency_ms=_latency(r, start),
        usage=tokens(loose(r.get("usage_details")), loose(r.get("usage"))),
        cost_usd=_cost(r),
        error=error,
        slices=labels(r.get("metadata"), r.get("tags"), **more),
        origin="langfuse",
        raw=raw,
    )


def _prompt(r: Mapping[str, Json]) -> str | None:
    name, version = optional_text(r, "prompt_name"), optional_text(r, "prompt_version")
    return f"{name}@{version}" if name and version else None


def _latency(r: Mapping[str, Json], start: str) -> float | None:
    passed = milliseconds(start, optional_time(r, "end_time"))
    if passed is not None:
        return passed
    seconds = optional_amount(r, "latency")
    return None if seconds is None else seconds * _SECONDS


def _cost(r: Mapping[str, Json]) -> float | None:
    stated = optional_amount(r, "total_cost", "calculated_total_cost")
    return stated if stated is not None else optional_amount(loose(r.get("cost_details")), "total")


_READERS = {"trace": _trace, "observation": _observation, "score": score}


@lru_cache(maxsize=1024)
def _snake_key(key: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in key)


def _snake(record: Mapping[str, Json]) -> dict[str, Json]:
    return {_snake_key(k): v for k, v in record.items()}


def _as_written(outcome: Outcome, record: Mapping[str, Json]) -> Outcome:
    """A rejection names the field as the record spells it."""
    if isinstance(outcome, Rejection):
        for key in record:
            if _snake_key(key) == outcome.field:
                return Rejection(key, outcome.rule)
    return outcome


IMPORTER = LangfuseImporter()
