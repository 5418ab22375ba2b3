"""How feedback becomes labels, with a probability and its evidence; or an abstention."""

from upturn.labels.calibration import CalibrationReport, Reliability, reliability
from upturn.labels.compile import compile_labels
from upturn.labels.dawid_skene import DawidSkene, dawid_skene
from upturn.labels.labelling import (
    Abstention,
    Evidence,
    FieldAbstention,
    FieldLabel,
    LabelledRequest,
    Labelling,
)
from upturn.labels.raters import RaterReport
from upturn.labels.rule import Rule, Says
from upturn.labels.rules import InfluenceRules, LabelRules, TextRules, TrustRules

__all__ = [
    "Abstention",
    "CalibrationReport",
    "DawidSkene",
    "Evidence",
    "FieldAbstention",
    "FieldLabel",
    "InfluenceRules",
    "LabelRules",
    "LabelledRequest",
    "Labelling",
    "RaterReport",
    "Reliability",
    "Rule",
    "Says",
    "TextRules",
    "TrustRules",
    "compile_labels",
    "dawid_skene",
    "reliability",
]
