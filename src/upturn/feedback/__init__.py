"""Production feedback: the native log format, and how feedback becomes labels."""

from upturn.feedback.events import (
    FORMAT,
    Feedback,
    FieldRules,
    Log,
    Request,
    Role,
    Signal,
    Source,
)
from upturn.feedback.labels import (
    Abstention,
    FieldLabel,
    LabelledRequest,
    Labelling,
    LabelRules,
    compile_labels,
)
from upturn.feedback.native import read_log, write_log
from upturn.feedback.problems import Problem, Problems
from upturn.feedback.raters import RaterReport, TrustRules

__all__ = [
    "FORMAT",
    "Abstention",
    "Feedback",
    "FieldLabel",
    "FieldRules",
    "LabelRules",
    "LabelledRequest",
    "Labelling",
    "Log",
    "Problem",
    "Problems",
    "RaterReport",
    "Request",
    "Role",
    "Signal",
    "Source",
    "TrustRules",
    "compile_labels",
    "read_log",
    "write_log",
]
