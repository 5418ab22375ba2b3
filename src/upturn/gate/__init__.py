"""The gate: two evaluations of the same sealed rows in, one verdict with all its numbers out."""

from upturn.gate.decide import decide
from upturn.gate.designs import design, design_names
from upturn.gate.forgotten import OtherTask, judge_others
from upturn.gate.report import Counts, GateReport, GuardResult, Repair, SliceResult, Staged
from upturn.gate.rules import GateRules, Guards
from upturn.gate.sequence import Decided, Holdout, decide_in_stages
from upturn.gate.spending import first_level, look_alpha, looks_affordable
from upturn.gate.told import Told

__all__ = [
    "Counts",
    "Decided",
    "GateReport",
    "GateRules",
    "GuardResult",
    "Guards",
    "Holdout",
    "OtherTask",
    "Repair",
    "SliceResult",
    "Staged",
    "Told",
    "decide",
    "decide_in_stages",
    "design",
    "design_names",
    "first_level",
    "judge_others",
    "look_alpha",
    "looks_affordable",
]
