"""Who or what is to be forgotten: its events, its texts and its ids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from upturn.events import Event, Feedback, Request
from upturn.labels.notes import note_text
from upturn.pipeline.forget.needles import MIN_TEXT, Needles, pieces
from upturn.records import Example, Json

# An answer that is one word of small letters is a label: nobody's text, and everybody's answer.
_LABEL = re.compile(r"[a-z][a-z_\-]*\Z")


class Store(Protocol):
    """What forgetting needs of a feedback store."""

    def request(self, id: str, /) -> Request | None: ...
    def feedback_on(self, request_id: str, /) -> tuple[Feedback, ...]: ...
    def requests(self) -> Iterator[Request]: ...
    def joined(self) -> Iterator[tuple[Request, tuple[Feedback, ...]]]: ...


@dataclass(kw_only=True)
class Subject:
    """What is to be forgotten.

    Attributes:
        names: the id as it was given, and as its pseudonym.
        request_ids, feedback_ids: events.
        user, rater: whether a name is a user, or gave feedback.
        texts: piece -> the texts of the events that it is a piece of (each is one of its own).
        shared: pieces that events of others hold as well, which therefore are nobody's and stay.
        inputs: the inputs of the events as programs see them, for finding demos.
        quoted_by: ids of events that stay and hold one of the texts in a longer one.
        notes: request -> its comments that go, as rows hold them.
    """

    names: frozenset[str]
    request_ids: set[str] = field(default_factory=set)
    feedback_ids: set[str] = field(default_factory=set)
    user: bool = False
    rater: bool = False
    texts: dict[str, set[str]] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)
    inputs: list[Mapping[str, Json]] = field(default_factory=list)
    quoted_by: set[str] = field(default_factory=set)
    notes: dict[str, set[str]] = field(default_factory=dict)
    _made: list[str] = field(default_factory=list)
    _made_of: int = 0

    @property
    def found(self) -> bool:
        """Whether any event was found."""
        return bool(self.request_ids or self.feedback_ids)

    @property
    def needles(self) -> Needles:
        """What is searched for in files and tables."""
        ids = self.request_ids | self.feedback_ids | self.names
        return Needles(self.texts.keys() - self.shared, ids)

    def add(self, event: Event) -> None:
        """Takes an event in."""
        if isinstance(event, Request):
            self.request_ids.add(event.id)
            self.inputs.append(event.inputs)
            self._say((event.inputs, event.error), labels=True)
            self._say(event.outputs, labels=False)
        else:
            self.feedback_ids.add(event.id)
            self._say(event.value, labels=False)
            note = note_text(event.comment or "")
            self._say((event.comment, note), labels=True)
            if note:
                self.notes.setdefault(event.request_id, set()).add(note)

    def add_example(self, example: Example) -> None:
        """Takes a snapshot's row in."""
        self.request_ids.add(example.id)
        self.feedback_ids |= set(example.event_ids) - {example.id}
        self.inputs.append(example.inputs)
        self._say((example.inputs, example.notes), labels=True)
        self._say(example.labels, labels=False)

    def keep(self, event_id: str, value: Json) -> None:
        """Notes what stays: a text that others have too is nobody's own."""
        for text in texts_of(value):
            own = [piece for piece in pieces(text) if piece in self.texts]
            self.shared.update(own)
            said = bool(own) and own[0] == text.strip()
            if not said and any(t in text for t in self._whole):
                self.quoted_by.add(event_id)

    @property
    def _whole(self) -> list[str]:
        """The texts that are no pieces of others; made anew when there are more."""
        if self._made_of != len(self.texts):
            self._made = [piece for piece, texts in self.texts.items() if piece in texts]
            self._made_of = len(self.texts)
        return self._made

    def _say(self, value: Json, *, labels: bool) -> None:
        for text in _texts(value, labels=labels):
            for piece in pieces(text):
                self.texts.setdefault(piece, set()).add(text.strip())


def find(store: Store, names: frozenset[str]) -> Subject:
    """Returns what a store holds of a request, user or rater; reads the store twice."""
    subject = Subject(names=names)
    steps: dict[str, list[str]] = {}
    for request in store.requests():
        if request.parent is not None:
            steps.setdefault(request.parent, []).append(request.id)
        if request.user in names:
            subject.user = True
            subject.add(request)
        elif request.id in names:
            subject.add(request)
    _add_steps(store, subject, steps)
    for name in names | subject.request_ids:
        for feedback in store.feedback_on(name):
            subject.add(feedback)
    for _, said in store.joined():
        for feedback in said:
            if feedback.rater in names:
                subject.rater = True
                subject.add(feedback)
    if subject.texts:
        _note_kept(store, subject)
    return subject


def _add_steps(store: Store, subject: Subject, steps: Mapping[str, list[str]]) -> None:
    """Adds the steps of what is forgotten: they hold the same texts."""
    waiting = list(subject.request_ids | subject.names)
    seen: set[str] = set()
    while waiting:
        parent = waiting.pop()
        if parent in seen:
            continue
        seen.add(parent)
        for child in steps.get(parent, ()):
            request = store.request(child)
            if request is not None:
                subject.add(request)
            waiting.append(child)


def _note_kept(store: Store, subject: Subject) -> None:
    for request in store.requests():
        if request.id not in subject.request_ids:
            subject.keep(request.id, (request.inputs, request.outputs))
    for _, said in store.joined():
        for feedback in said:
            if feedback.id not in subject.feedback_ids:
                subject.keep(feedback.id, (feedback.value, feedback.comment))


def texts_of(value: Json) -> Iterator[str]:
    """Yields the strings of a value, at any depth, that are long enough to be searched for."""
    return _texts(value, labels=True)


def _texts(value: Json, *, labels: bool) -> Iterator[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if len(item.strip()) >= MIN_TEXT and (labels or not _LABEL.match(item)):
                yield item
        elif isinstance(item, Mapping):
            waiting += list(item.values())
        elif isinstance(item, list | tuple):
            waiting += list(item)
