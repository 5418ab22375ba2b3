"""What production tells: requests, and feedback about them; the native format, read and written."""

from upturn.events.native import read_log, write_log
from upturn.events.problems import Problem, Problems
from upturn.events.records import (
    EPOCH,
    FORMAT,
    Event,
    Feedback,
    FieldRules,
    Log,
    Purpose,
    Request,
    Role,
    Signal,
    Source,
)

__all__ = [
    "EPOCH",
    "FORMAT",
    "Event",
    "Feedback",
    "FieldRules",
    "Log",
    "Problem",
    "Problems",
    "Purpose",
    "Request",
    "Role",
    "Signal",
    "Source",
    "read_log",
    "write_log",
]
