"""Feedback from elsewhere: one file a format, each with an ``IMPORTER`` that is found by itself."""

from upturn.importers.base import Importer, RejectedError, Rejection
from upturn.importers.registry import importer, importer_names, recognise

__all__ = [
    "Importer",
    "RejectedError",
    "Rejection",
    "importer",
    "importer_names",
    "recognise",
]
