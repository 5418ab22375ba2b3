"""Feedback to labels: what is right, how sure that is, and why; or an abstention with its reason.

1. Every signal is read by a rule (:mod:`.rules`): it says that a value, or the answer, is right or
   wrong (:mod:`.reading`).
2. Each rater counts once a field, within a limit a day; bursts from few accounts are set aside
   (:mod:`.influence`).
3. What is right and who is reliable are estimated together (:mod:`.model`); raters who agree with
   the others as blind ones would are set aside (:mod:`.raters`).
4. Where enough was reviewed, the probabilities are held against the reviews and bent
   (:mod:`.calibration`).
5. A field gets the value that is most probable, if it is probable enough (:mod:`.resolve`).
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from upturn.events.records import Log, Request
from upturn.events.source import EventSource, LogSource
from upturn.labels.age import Age
from upturn.labels.judgement import Judgement, judge
from upturn.labels.labelling import (
    Abstention,
    FieldAbstention,
    FieldLabel,
    FieldResult,
    LabelledRequest,
    Labelling,
)
from upturn.labels.notes import kept_notes, read_notes
from upturn.labels.reading import Reader, seen
from upturn.labels.resolve import Resolver
from upturn.labels.rules import LabelRules
from upturn.labels.table import Case
from upturn.privacy.consent import Unstated
from upturn.records import Json


def compile_labels(
    source: EventSource | Log,
    *,
    now: datetime,
    min_age_hours: float,
    rules: LabelRules | None = None,
    program: str | None = None,
    unstated: Unstated = "allow",
) -> Labelling:
    """Turns feedback into labels.

    Feedback later than ``now`` is not seen, so the same events compiled for an earlier time give
    what was known then. Requests with an error (``request_error``) or younger than
    ``min_age_hours`` (``too_young``: corrections may still come) are abstained from. Requests
    without feedback are streamed and counted, never held.

    Args:
        source: a store, or a log in memory.
        now: the time to compile for, with a zone.
        min_age_hours: how old a request must be, in hours.
        rules: every number of it; the defaults of :class:`LabelRules` where None.
        program: whose requests; all of them where None.
        unstated: whether comments that state no consent become notes.
    """
    rules = rules or LabelRules()
    events = LogSource(source) if isinstance(source, Log) else source
    gathered = _Gathered(Age(now, min_age_hours), rules, unstated)
    gathered.walk(events, program)
    with _no_collection():
        found = judge(gathered.cases, rules)
        return gathered.labelling(found, rules)


@contextmanager
def _no_collection() -> Generator[None]:
    """Pauses the search for cyclic garbage: there is none here, and looking for it among millions
    of records that stay takes a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_NO_SLICES: Mapping[str, str] = {}


class _Gathered:
    """The cases of a source, and the requests that are none."""

    def __init__(self, age: Age, rules: LabelRules, unstated: Unstated) -> None:
        self._age = age
        self._unstated: Unstated = unstated
        self._slim = _Slim()
        self._reader = Reader(rules, self._slim.share)
        self._abstentions: list[Abstention] = []
        self._silent: Counter[str] = Counter()
        self.cases: list[Case] = []

    def walk(self, events: EventSource, program: str | None) -> None:
        for request, feedback in events.joined(program=program):
            told = seen(feedback, self._age.until)
            reason = self._age.unfit(request.time, request.error is not None)
            if reason is None and not told:
                reason = "no_feedback"
            if reason is not None:
                self._abstentions.append(Abstention(request_id=request.id, reason=reason))
                continue
            slim = self._slim.request(request)
            notes = read_notes(told, self._unstated)
            self.cases.append(Case(slim, self._reader.read(slim, told), notes))
        for e in events.exposures(program=program):
            if not e.has_feedback:
                self._silent[self._age.unfit(e.time, e.error) or "no_feedback"] += 1

    def labelling(self, found: Judgement, rules: LabelRules) -> Labelling:
        rows: list[LabelledRequest] = []
        abstentions = self._abstentions
        resolver = Resolver(found, rules)
        ignored = frozenset(r.rater for r in found.raters if not r.trusted)
        self.cases.reverse()
        while self.cases:
            # What is decided is let go: evidence takes the place of readings.
            case = self.cases.pop()
            result = _row(case.request, *resolver.resolve(case))
            if isinstance(result, LabelledRequest):
                notes = kept_notes(case.notes, ignored)
                rows.append(replace(result, notes=notes) if notes else result)
            else:
                abstentions.append(result)
        return Labelling(
            rows=tuple(rows),
            abstentions=tuple(sorted(abstentions, key=lambda a: a.request_id)),
            silent=dict(self._silent),
            raters=found.raters,
            calibration=found.calibration,
        )


class _Slim:
    """Makes requests small: without the raw record, and with one copy of what many have in common.

    A store gives every row its own copy of the same few texts, which are a quarter of it.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def share(self, value: Json) -> Json:
        """Returns one and the same object for equal short texts, as long as they are not many."""
        if type(value) is not str or len(value) > 64 or len(self._known) >= 100_000:
            return value
        return self._known.setdefault(value, value)

    def request(self, request: Request) -> Request:
        share = self.share
        return replace(
            request,
            raw=None,
            program=share(request.program),
            user=share(request.user),
            version=share(request.version),
            model=share(request.model),
            session=share(request.session),
            outputs={name: share(value) for name, value in request.outputs.items()},
            slices=request.slices or _NO_SLICES,
        )


def _row(
    request: Request, fields: dict[str, FieldResult], right: float | None
) -> LabelledRequest | Abstention:
    labels = {name: r for name, r in fields.items() if isinstance(r, FieldLabel)}
    if labels and len(labels) == len(fields):
        return LabelledRequest(request=request, fields=labels, right=right or 0.0)
    missing = (r.reason for r in fields.values() if isinstance(r, FieldAbstention))
    return Abstention(
        request_id=request.id,
        reason=next(missing, "says_nothing"),
        fields=fields,
        right=right,
    )
