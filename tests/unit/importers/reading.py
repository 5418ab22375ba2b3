"""Reads a record with an importer, for tests: events by kind and id, and what was rejected."""

from __future__ import annotations

from upturn.events import Feedback, Request
from upturn.importers import RejectedError, Rejection, importer
from upturn.records import Json


class Read:
    """What one record gave."""

    def __init__(self, name: str, record: Json) -> None:
        outcomes = list(importer(name).events(record))
        self.requests = {e.id: e for e in outcomes if isinstance(e, Request)}
        self.feedback = {e.id: e for e in outcomes if isinstance(e, Feedback)}
        self.rejected = [str(e) for e in outcomes if isinstance(e, Rejection)]

    @property
    def request(self) -> Request:
        (request,) = self.requests.values()
        return request

    @property
    def said(self) -> Feedback:
        (feedback,) = self.feedback.values()
        return feedback


def refused(name: str, record: Json) -> str:
    """Returns why nothing of a record can be used."""
    try:
        return Read(name, record).rejected[0]
    except RejectedError as error:
        return str(error.rejection)
