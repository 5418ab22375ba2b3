"""The gate: two evaluations of the same sealed rows in, one verdict with all its numbers out."""

from upturn.gate.decide import decide
from upturn.gate.designs import design, design_names
from upturn.gate.forgotten import OtherTask, judge_others
from upturn.gate.overlap import Exposure, PastLook, exposure, sketch_rows
from upturn.gate.report import Counts, GateReport, GuardResult, Repair, SliceResult, Staged
from upturn.gate.rules import GateRules, Guards
from upturn.gate.sequence import Decided, Holdout, decide_in_stages
from upturn.gate.spending import Remaining, first_level, look_alpha, looks_affordable, remaining
from upturn.gate.told import Told

__all__ = [
    "Counts",
    "Decided",
    "Exposure",
    "GateReport",
    "GateRules",
    "GuardResult",
    "Guards",
    "Holdout",
    "OtherTask",
    "PastLook",
    "Remaining",
    "Repair",
    "SliceResult",
    "Staged",
    "Told",
    "decide",
    "decide_in_stages",
    "design",
    "design_names",
    "exposure",
    "first_level",
    "judge_others",
    "look_alpha",
    "looks_affordable",
    "remaining",
    "sketch_rows",
]
