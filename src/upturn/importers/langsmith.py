"""LangSmith: runs (JSON of the API, or Parquet and CSV of the bulk export) and feedback.

- Each run is a request. Its parent is ``parent_run_id``, or where that is missing the run before it
  in ``dotted_order``, which also tells id and start where they are missing. ``session_id`` names a
  project in LangSmith; the conversation is what the metadata calls thread, session or conversation.
- Feedback gives one event for each thing it says: a score (thumbs where it is true or false), a
  text value (a category), a correction, or the comment where nothing else is said. The first has
  the feedback's id and comment, the others ``<id>/value`` and ``<id>/correction``. A correction of
  ``score`` or ``value`` beside a score says what the evaluator should have said: it is the score of
  a reviewer, ``langsmith:correction``, and no answer.
- ``api`` and ``app`` come from a customer, unless an annotation queue is named: a reviewer; model
  and auto_eval from a judge. The rater is the user id, else ``langsmith:<type>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from upturn.events import Request
from upturn.events.problems import found
from upturn.importers._langsmith_feedback import feedback
from upturn.importers._reading import Outcome, each, first_text, labels, loose, tokens
from upturn.importers.base import RejectedError
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

_STEP = re.compile(r"(\d{8}T\d{6})(\d{1,6})Z([0-9a-fA-F-]{8,36})")
_THREAD = ("thread_id", "session_id", "conversation_id")
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class LangsmithImporter:
    """See the module."""

    name: ClassVar[str] = "langsmith"
    title: ClassVar[str] = "LangSmith"

    def recognises(self, record: Mapping[str, Json]) -> bool:
        return _kind(record) != ""

    def events(self, record: Mapping[str, Json]) -> Iterable[Outcome]:
        kind = _kind(record)
        if kind == "page":
            return each(record, "runs", self.events)
        if kind == "run":
            return self._with_children(record)
        if kind == "feedback":
            return salvage([lambda: feedback(record)])
        keys = found(sorted(record)[:8])
        raise RejectedError("", f"must be a run or a feedback, got keys {keys}")

    def _with_children(self, record: Mapping[str, Json]) -> Iterator[Outcome]:
        yield from salvage([lambda: _run(record)])
        if record.get("child_runs"):
            yield from each(record, "child_runs", self.events)


def _kind(record: Mapping[str, Json]) -> str:
    """What a record is, or "" where it is nothing of LangSmith."""
    runs = record.get("runs")
    if isinstance(runs, list):
        return "page" if any(isinstance(r, dict) and _kind(r) == "run" for r in runs[:3]) else ""
    if "run_type" in record and ("dotted_order" in record or "parent_run_id" in record):
        return "run"
    about = "run_id" in record or "trace_id" in record
    return "feedback" if about and "key" in record and "feedback_source" in record else ""


def _run(r: Mapping[str, Json]) -> Iterator[Request]:
    steps = _steps(r)
    last = steps[-1] if steps else ("", None)
    start = optional_time(r, "start_time") or last[1] or iso_time(None, "start_time")
    extra = loose(r.get("extra"))
    metadata = loose(extra.get("metadata"))
    error = _error(r)
    seen = {"run_type": r.get("run_type"), "project": r.get("session_name")}
    yield Request(
        id=optional_text(r, "id") or last[0] or text(r, "id"),
        time=start,
        program=text(r, "name"),
        inputs=fields(r.get("inputs"), "input"),
        outputs={} if error else fields(r.get("outputs"), "output"),
        user=first_text(metadata, "user_id", "user"),
        session=first_text(metadata, *_THREAD),
        version=first_text(metadata, "version", "lc_hub_commit_hash", "revision_id"),
        model=first_text(metadata, "ls_model_name") or _model(extra),
        parent=optional_text(r, "parent_run_id") or (steps[-2][0] if len(steps) > 1 else None),
        latency_ms=milliseconds(start, optional_time(r, "end_time")),
        usage=tokens({k: r.get(k) for k in _COUNTS}),
        cost_usd=optional_amount(r, "total_cost"),
        error=error,
        slices=labels(metadata, r.get("tags"), **seen),
        origin="langsmith",
        raw=r,
    )


def _steps(r: Mapping[str, Json]) -> list[tuple[str, str]]:
    """Returns id and start of each run from the trace's first to this one.

    It is read only where it is needed, and then must be whole.
    """
    if r.get("id") and r.get("start_time") and r.get("parent_run_id"):
        return []
    order = optional_text(r, "dotted_order")
    return [_step(part) for part in order.split(".")] if order else []


def _step(part: str) -> tuple[str, str]:
    match = _STEP.fullmatch(part)
    if match is None:
        rule = f"must be <YYYYMMDDTHHMMSSffffffZ><run id>, joined by dots; got {found(part)}"
        raise RejectedError("dotted_order", rule)
    time = iso_time(f"{match[1]}.{match[2].ljust(6, '0')}+00:00", "dotted_order")
    return match[3], time


def _error(r: Mapping[str, Json]) -> str | None:
    stated = optional_text(r, "error")
    return stated or ("error" if r.get("status") == "error" else None)


def _model(extra: Mapping[str, Json]) -> str | None:
    return first_text(loose(extra.get("invocation_params")), "model", "model_name")


IMPORTER = LangsmithImporter()
