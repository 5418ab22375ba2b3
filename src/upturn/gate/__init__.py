"""The gate: two evaluations of the same sealed rows in, one verdict with all its numbers out."""

from upturn.gate.decide import decide
from upturn.gate.forgotten import OtherTask
from upturn.gate.report import Counts, GateReport, GuardResult, Repair, SliceResult
from upturn.gate.rules import GateRules, Guards
from upturn.gate.spending import look_alpha, looks_affordable

__all__ = [
    "Counts",
    "GateReport",
    "GateRules",
    "GuardResult",
    "Guards",
    "OtherTask",
    "Repair",
    "SliceResult",
    "decide",
    "look_alpha",
    "looks_affordable",
]
